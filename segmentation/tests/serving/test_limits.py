"""Floods and slow clients against a real server."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest

from tests.serving.answers import GOOD, JSON, assert_mask, assert_problem, assert_still_serves
from tests.serving.server import Server, raw_exchange, read_answer

MIB = 2**20
POST = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.mark.hazard("H3")
def test_100_mib_chunked_is_refused_with_little_memory(service: Server) -> None:
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        while sent < 100 * MIB:
            sent += 65536
            yield b" " * 65536

    with service.memory_growth_below(30):
        answer = service.client.post("/predict", content=body(), headers=JSON)
    assert_problem(answer, 413, "body-too-large")
    assert sent < 30 * MIB  # 6 MiB are read; the rest of this lies in the buffers of the sockets
    assert_still_serves(service)


@pytest.mark.hazard("H4")
def test_3_mb_as_chunks_of_one_byte(service: Server) -> None:
    content = json.dumps({"img": GOOD}).encode().ljust(3_000_000)
    data = b"".join(b"1\r\n%c\r\n" % byte for byte in content)
    started = service.seconds()
    with service.connect() as connection:
        answer = raw_exchange(connection, POST + b"Transfer-Encoding: chunked\r\n\r\n" + data + b"0\r\n\r\n")
    assert_mask(answer, (96, 80))
    assert service.seconds() - started < 5
    assert_still_serves(service)


def endless(connection: socket.socket, part: bytes) -> int:
    """Send the same bytes until the server ends the connection, at most 60 MB; returns how many were sent."""
    sent = 0
    try:
        while sent < 60_000_000:
            sent += connection.send(part)
    except OSError:
        pass
    return sent


@pytest.mark.parametrize(("start", "part"), [
    (b"GET /", b"a" * 65536),
    (b"GET /livez HTTP/1.1\r\nA: ", b"a" * 65536),
    (b"GET /livez HTTP/1.1\r\n", b"A: b\r\n" * 10_000),
    (POST + b"Transfer-Encoding: chunked\r\n\r\n1; ", b"a" * 65536),
    (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n" * 10_000),
], ids=["URL", "one header", "many headers", "chunk extension", "trailers"])  # fmt: skip
def test_endless_headers_are_cut(service: Server, start: bytes, part: bytes) -> None:
    with service.memory_growth_below(30), service.connect() as connection:
        connection.sendall(start)
        assert endless(connection, part) < 30_000_000
    assert_still_serves(service)


def test_too_large_headers_are_refused(service: Server) -> None:
    with service.connect() as connection:
        # The server reads up to 256 KiB at once, so that more than that must come for it to see no end of them.
        answer = raw_exchange(connection, b"GET /livez HTTP/1.1\r\nA: " + b"a" * 400_000)
    assert_problem(answer, 431, "headers-too-large")


def test_header_of_ordinary_size_is_read(service: Server) -> None:
    assert service.client.get("/livez", headers={"a": "b" * 30_000}).status_code == 200


@pytest.mark.alone
def test_a_slow_body_gets_408(faulty_service: Server) -> None:
    started = time.perf_counter()
    with faulty_service.connect() as connection:
        answer = raw_exchange(connection, POST + b"Content-Length: 10\r\n\r\n{")
        assert connection.recv(1) == b""  # closed: the rest of the body can't be told from a next request
    assert_problem(answer, 408, "body-too-slow")
    assert 0.9 < time.perf_counter() - started < 3


@pytest.mark.alone
@pytest.mark.hazard("H5")
def test_a_body_without_room_ends_the_one_that_began_first(faulty_service: Server) -> None:
    # There is room for three of the largest: one in the queue of this service, one that runs, one that arrives.
    large = json.dumps({"img": GOOD}).encode().ljust(6_000_000)
    head = POST + b"Content-Length: 6000000\r\n\r\n"
    with ExitStack() as stack:
        unfinished = [stack.enter_context(faulty_service.connect()) for _ in range(3)]
        for connection in unfinished:
            connection.sendall(head + large[:-1])
            time.sleep(0.1)  # for their order
        with faulty_service.connect() as connection:
            assert_mask(raw_exchange(connection, head + large), (96, 80))
        first, *others = (read_answer(connection) for connection in unfinished)
    assert_problem(first, 503, "busy")
    for answer in others:
        assert_problem(answer, 408, "body-too-slow")
    assert_still_serves(faulty_service)


@pytest.mark.long
@pytest.mark.hazard("H5")
def test_slow_bodies_hold_up_no_fast_one(service: Server) -> None:
    """200 connections that send a byte now and then, and 40 good requests: each is answered as if it were alone."""
    seconds = []
    with ExitStack() as stack:
        slow = [stack.enter_context(service.connect()) for _ in range(200)]
        for connection in slow:
            connection.sendall(POST + b"Content-Length: 6000000\r\n\r\n{")
        for number in range(40):
            for connection in slow[number % 10 :: 10]:
                with suppress(OSError):
                    connection.sendall(b" ")
            started = time.perf_counter()
            assert_mask(service.client.post("/tumor/predict", json={"img": GOOD}), (96, 80))
            seconds.append(time.perf_counter() - started)
    assert max(seconds) < 2


def test_200_idle_connections_hold_up_nobody(service: Server) -> None:
    with ExitStack() as stack:
        for number in range(200):
            start = (b"", b"GET /li", POST, POST + b"Content-Length: 9\r\n\r\n{")[number % 4]
            stack.enter_context(service.connect()).sendall(start)
        started = time.perf_counter()
        assert httpx.get(f"{service.url}/livez", timeout=20).status_code == 200  # on a connection of its own
        assert time.perf_counter() - started < 5  # those that are not done are given up after 10 s


def test_client_that_leaves_in_the_middle_of_its_body(service: Server) -> None:
    for _ in range(20):
        with service.connect() as connection:
            connection.sendall(POST + b"Content-Length: 1000\r\n\r\n{")
    assert_still_serves(service)


def test_expect_100_continue(service: Server) -> None:
    content = json.dumps({"img": GOOD}).encode()
    head = POST + b"Expect: 100-continue\r\nContent-Length: "
    with service.connect() as connection:
        connection.sendall(head + b"%d\r\n\r\n" % len(content))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert_mask(raw_exchange(connection, content), (96, 80))
    with service.connect() as connection:
        assert_problem(raw_exchange(connection, head + b"7000000\r\n\r\n"), 413)


def test_several_requests_on_one_connection(service: Server) -> None:
    content = json.dumps({"img": GOOD}).encode()
    request = POST + b"Content-Length: %d\r\n\r\n" % len(content) + content
    with service.connect() as connection:
        for _ in range(3):
            assert_mask(raw_exchange(connection, request), (96, 80))
