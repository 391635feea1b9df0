"""What uvicorn's protocol lacks: upgrades that are ignored, a limit of requests sent ahead, an end without resets."""

import asyncio
import json
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from mipseg.serving.protocol import DeadlineProtocol
from mipseg.serving.serve import GentleServer
from tests.serving.answers import GOOD, assert_mask, assert_problem, assert_still_serves
from tests.serving.server import Server, raw_exchange, read_answer

BODY = json.dumps({"img": GOOD}).encode()
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n" + UPGRADE + b"\r\n"
HEAD = b"POST /tumor/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + UPGRADE
LENGTH = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY)


def test_an_upgrade_is_ignored_and_the_connection_stays_usable(service: Server) -> None:
    with service.connect() as connection:
        for _ in range(2):
            assert raw_exchange(connection, GET).json() == {"status": "ok"}
            assert_mask(raw_exchange(connection, LENGTH + BODY), (96, 80))


@pytest.mark.parametrize("at", [1, 30, len(LENGTH) - 2, len(LENGTH), len(LENGTH) + 1, len(LENGTH) + 99])
def test_an_upgrade_is_ignored_wherever_the_request_is_cut(service: Server, at: int) -> None:
    with service.connect() as connection:
        connection.sendall((LENGTH + BODY)[:at])
        time.sleep(0.05)
        assert_mask(raw_exchange(connection, (LENGTH + BODY)[at:]), (96, 80))


def test_an_upgrade_with_a_chunked_body_is_ignored(service: Server) -> None:
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n"
    with service.connect() as connection:
        assert_mask(raw_exchange(connection, chunked), (96, 80))


def test_what_else_a_request_says_survives_its_upgrade(service: Server) -> None:
    request_id = "0" * 31 + "7"
    head = (
        GET[:-2].replace(b"Upgrade, HTTP2", b"close, Upgrade, HTTP2") + f"X-Request-ID: {request_id}\r\n\r\n".encode()
    )
    with service.connect() as connection:
        answer = raw_exchange(connection, head)
        assert answer.headers["x-request-id"] == request_id
        assert answer.headers["connection"] == "close"
        assert connection.recv(1) == b""


def test_two_requests_sent_at_once_with_upgrades(service: Server) -> None:
    with service.connect() as connection:
        connection.sendall(GET + GET)
        received = b""
        while received.count(b'{"status":"ok"}') < 2:
            part = connection.recv(65536)
            assert part
            received += part


@pytest.mark.skipif(shutil.which("curl") is None, reason="CURL IS NOT INSTALLED: its --http2 was not tried")
def test_curl_with_http2(service: Server, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(BODY)
    command = ["curl", "-s", "--http2", "-H", "Content-Type: application/json", "--data-binary", "@body"]
    found = subprocess.run([*command, f"{service.url}/tumor/predict"], cwd=tmp_path, capture_output=True, check=True)
    assert_mask(httpx.Response(200, content=found.stdout, headers={"x-request-id": "0"}), (96, 80))


@pytest.mark.long
@pytest.mark.skipif(shutil.which("java") is None, reason="JAVA IS NOT INSTALLED: its HttpClient was not tried")
def test_the_http_client_of_java(service: Server, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(BODY)
    source = Path(__file__).with_name("JavaClient.java")
    command = ["java", str(source), f"{service.url}/tumor/predict", str(tmp_path / "body")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if "jdk.compiler" in found.stderr:
        pytest.skip("JAVA CAN'T COMPILE: only a runtime is installed, so its HttpClient was not tried")
    assert found.returncode == 0, found.stderr
    answers = found.stdout.splitlines()
    assert [line[:4] for line in answers] == ["200 ", "200 "]
    for line in answers:
        assert_mask(httpx.Response(200, content=line[4:].encode(), headers={"x-request-id": "0"}), (96, 80))


@pytest.mark.hazard("H4")
def test_requests_sent_ahead_are_bounded(service: Server) -> None:
    flood = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n" * 20_000
    with ExitStack() as stack, service.memory_growth_below(100):
        for _ in range(50):
            connection = stack.enter_context(service.connect())
            connection.settimeout(0.2)
            with suppress(OSError):
                connection.sendall(flood)
        for _ in range(4):  # what is queued would take memory little by little
            started = service.seconds()
            assert service.client.get("/livez").status_code == 200
            assert service.seconds() - started < 1
            time.sleep(0.3)
    assert_still_serves(service)


def test_some_requests_sent_ahead_are_answered_in_order(service: Server) -> None:
    paths = ["/livez", "/nowhere"] * 12
    with service.connect() as connection:
        connection.sendall(b"".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in paths))
        received = b""
        while received.count(b"HTTP/1.1 ") < len(paths) or not received.endswith(b"}"):
            received += connection.recv(65536)
    statuses = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404"] * 12


def test_a_connection_that_waits_when_the_service_stops_is_answered() -> None:
    """Made by the system, not yet taken by the server: closing the socket would reset it."""
    app = FastAPI()

    @app.get("/")
    async def index() -> str:
        return "answered"

    async def scenario() -> list[httpx.Response]:
        server = GentleServer(uvicorn.Config(app, "127.0.0.1", 0, http=DeadlineProtocol, ws="none", log_config=None))
        running = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        address = server.servers[0].sockets[0].getsockname()
        # All without giving the loop a chance to take the connections.
        with ExitStack() as stack:
            waiting = [stack.enter_context(socket.create_connection(address, timeout=5)) for _ in range(5)]
            for connection in waiting:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await server.shutdown()
            server.should_exit = True
            await running
            return [read_answer(connection) for connection in waiting]

    for answer in asyncio.run(scenario()):
        assert (answer.status_code, answer.json()) == (200, "answered")


@pytest.mark.long
def test_an_open_connection_may_send_a_last_request_when_the_service_stops(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(Server(tmp_path, "faulty"))
        server.wait_until_ready()
        connection = stack.enter_context(server.connect())
        assert raw_exchange(connection, GET).status_code == 200
        server.process.terminate()
        time.sleep(0.6)  # it has stopped listening, and would have closed what is idle
        answer = raw_exchange(connection, GET)
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert server.process.wait(10) == 0


def test_connect_is_refused(service: Server) -> None:
    with service.connect() as connection:
        assert_problem(raw_exchange(connection, b"CONNECT example.org:80 HTTP/1.1\r\nHost: x\r\n\r\n"), 400)
    with service.connect() as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\n" + UPGRADE + b"Content-Length: x\r\n\r\n")
        assert_problem(read_answer(connection), 400)
