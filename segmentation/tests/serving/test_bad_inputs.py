"""Bad inputs against a real server: each gets its status in the one shape, and the next good request is served."""

import gzip
import json
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import httpx
import numpy as np
import pytest

from mipseg.phantom import make_phantom
from tests.serving.answers import GOOD, JSON, assert_mask, assert_problem, assert_still_serves
from tests.serving.bad_images import FILES, TAIL, File
from tests.serving.images import b64, body, from_b64, good_png, save
from tests.serving.server import Server, raw_exchange, read_answer

MIB = 2**20
WITHOUT_DECODING = {31, 32, 33, 37}
PATHS = ("/predict", "/tumor/predict", "/tumor/analyze")


class Body(NamedTuple):
    """One HTTP body: its item in the list, a name, the bytes, the status, and other headers than JSON's."""

    item: int
    name: str
    content: bytes
    status: int
    headers: dict[str, str] = JSON


def img(value: str) -> bytes:
    return json.dumps({"img": value}).encode()


SPLIT = "\r\n".join(GOOD[i : i + 76] for i in range(0, len(GOOD), 76))
URL_SAFE = GOOD.replace("+", "-").replace("/", "_")
BODIES = [
    Body(1, "empty body", b"", 422),
    Body(2, "list", b"[]", 422),
    Body(2, "null", b"null", 422),
    Body(2, "img is a number", b'{"img":1}', 422),
    Body(2, "img is null", b'{"img":null}', 422),
    Body(2, "img is a list", b'{"img":["' + GOOD.encode() + b'"]}', 422),
    Body(3, "NaN", b'{"img":NaN}', 422),
    Body(3, "Infinity", b'{"img":-Infinity}', 422),
    Body(3, "only NaN", b"NaN", 422),
    Body(4, "200,000 deep", b"[" * 200_000, 400),
    Body(4, "100,000 deep, closed", b"[" * 100_000 + b"]" * 100_000, 400),
    Body(4, "200,000 objects deep", b'{"img":' * 200_000, 400),
    Body(5, "5,000 digits", b'{"img":' + b"9" * 5000 + b"}", 400),
    Body(6, "not UTF-8", b'{"img":"\xff\xfe"}', 400),
    Body(6, "UTF-16", json.dumps({"img": "a"}).encode("utf-16"), 400),
    Body(6, "not JSON", b"img=abc", 400),
    Body(7, "lone surrogate", rb'{"img":"\ud800"}', 422),
    Body(7, "lone surrogate as name", rb'{"\ud800":"a"}', 422),
    Body(8, "wrong key, 2 MB", json.dumps({"image": "canary" * 333_333}).encode(), 422),
    Body(8, "2 MB of key", json.dumps({"canary" * 333_333: "a"}).encode(), 422),
    Body(9, "text/plain", img(GOOD), 415, {"content-type": "text/plain"}),
    Body(9, "no type", img(GOOD), 200, {}),
    Body(9, "empty type", img(GOOD), 200, {"content-type": ""}),
    Body(9, "no type and not JSON", b"img=a", 400, {}),
    Body(9, "form", b"img=a", 415, {"content-type": "application/x-www-form-urlencoded"}),
    Body(10, "gzip", gzip.compress(img(GOOD)), 415, JSON | {"content-encoding": "gzip"}),
    Body(10, "deflate", zlib.compress(img(GOOD)), 415, JSON | {"content-encoding": "deflate"}),
    Body(11, "6 MiB + 1", b" " * (6 * MIB + 1), 413),
    Body(11, "exactly 6 MiB", img(GOOD).ljust(6 * MIB), 200),
    Body(16, "img twice", b'{"img":"!","img":"' + GOOD.encode() + b'"}', 200),
    Body(16, "further fields", json.dumps({"img": GOOD, "x": [1, {"y": None}]}).encode(), 200),
    Body(16, "type with a charset", img(GOOD), 200, {"content-type": "Application/JSON; charset=utf-8"}),
    Body(17, "empty string", img(""), 422),
    Body(17, "blanks", img(" \n"), 422),
    Body(17, "only padding", img("===="), 422),
    Body(18, "!!!!", img("!!!!"), 422),
    Body(18, "junk inside", img(GOOD[:40] + "*" + GOOD[40:]), 422),
    Body(18, "NUL", img("\0" + GOOD), 422),
    Body(19, "abcde", img("abcde"), 422),
    Body(20, "é", img("é"), 422),
    Body(20, "full-width letters", img("\uff21\uff22\uff23\uff24"), 422),
    Body(21, "data after =", img("QUJD=QUJD"), 422),
    Body(21, "image after ==", img("QQ==" + GOOD), 422),
    Body(22, "data:text/html", img("data:text/html;base64," + GOOD), 422),
    Body(22, "data:image/svg+xml", img("data:image/svg+xml;base64," + GOOD), 422),
    Body(22, "only a prefix", img("data:image/png;base64,"), 422),
    Body(22, "a URL", img("https://example.org/a.png"), 422),
    Body(23, "data:image/png", img("data:image/png;base64," + GOOD), 200),
    Body(23, "data:image/jpeg", img("data:image/jpeg;base64," + GOOD), 200),
    Body(23, "data:application/octet-stream", img("data:application/octet-stream;base64," + GOOD), 200),
    Body(23, "DATA:IMAGE/PNG", img("DATA:IMAGE/PNG;BASE64," + GOOD), 200),
    Body(22, "data:application/json", img("data:application/json;base64," + GOOD), 422),
    Body(16, "byte order mark", b"\xef\xbb\xbf" + img(GOOD), 200),
    Body(24, "URL-safe", img(URL_SAFE), 200),
    Body(25, "line breaks", img(SPLIT), 200),
    Body(26, "no padding", img(GOOD.rstrip("=")), 200),
]


def name_of(case: Body | File) -> str:
    return f"{case.item} {case.name}"


@pytest.fixture(autouse=True)
def _good_request_afterwards(service: Server) -> Iterator[None]:
    yield
    assert_still_serves(service)


@pytest.mark.hazard("H8")
@pytest.mark.parametrize("case", BODIES, ids=name_of)
def test_body(service: Server, case: Body) -> None:
    answer = service.client.post("/tumor/predict", content=case.content, headers=case.headers)
    if case.status == 200:
        assert_mask(answer, (96, 80))
    else:
        assert_problem(answer, case.status)
        assert "canary" not in answer.text


@pytest.mark.parametrize("path", PATHS)
def test_bodies_get_the_same_status_on_every_route(service: Server, path: str) -> None:
    for case in BODIES:
        if case.item not in (11, 16):
            answer = service.client.post(path, content=case.content, headers=case.headers)
            assert answer.status_code == case.status, case.name


@pytest.mark.hazard("H6")
@pytest.mark.parametrize("case", FILES, ids=name_of)
def test_file(service: Server, case: File) -> None:
    started = service.seconds()
    limit = 10 if case.item in WITHOUT_DECODING else 150
    with service.memory_growth_below(limit):
        answer = service.client.post("/tumor/predict", json={"img": b64(case.data)})
    assert service.seconds() - started < (1 if case.item in WITHOUT_DECODING else 5)
    if case.status == 0:
        assert answer.status_code in (200, 422)
    elif case.status == 422:
        assert_problem(answer, 422, "image-too-large" if case.item in (32, 33, 37) else "invalid-image")
    else:
        assert answer.status_code == 200, answer.text
    if answer.status_code == 200:
        shape = from_b64(answer.json()["img"]).shape[:2]
        assert_mask(answer, (shape[0], shape[1]))


@pytest.mark.hazard("H14")
@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/predict", 405), ("GET", "/tumor/predict", 405), ("PUT", "/tumor/predict", 405),
    ("DELETE", "/tumor/analyze", 405), ("POST", "/livez", 405), ("OPTIONS", "/tumor/predict", 405),
    ("GET", "/nowhere", 404), ("POST", "/tumor", 404), ("POST", "/tumor/predict/x", 404),
    ("GET", "/%00", 404), ("GET", "/..%2f..%2fetc/passwd", 404), ("GET", "/" + "a" * 20_000, 404),
])  # fmt: skip
def test_15_method_and_path(service: Server, method: str, path: str, status: int) -> None:
    answer = service.client.request(method, path)
    assert_problem(answer, status, "not-found" if status == 404 else "method-not-allowed")


@pytest.mark.hazard("H3")
def test_12_endless_chunked_body(service: Server) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b" " * 65536

    with service.memory_growth_below(30):
        answer = service.client.post("/tumor/predict", content=endless(), headers=JSON)
    assert_problem(answer, 413, "body-too-large")


@pytest.mark.hazard("H3")
@pytest.mark.parametrize("length", ["1073741824", "6291457", "9" * 19, "0" * 30 + "6291457"])
def test_13_a_declared_size_is_refused_at_once(service: Server, length: str) -> None:
    started = time.perf_counter()
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    with service.connect() as connection:
        assert_problem(raw_exchange(connection, head.encode() + b'{"img":"aa'), 413, "body-too-large")
    assert time.perf_counter() - started < 5  # the body, which does not come, would be given 10 s


@pytest.mark.long
@pytest.mark.hazard("H5")
def test_14_one_byte_per_second(service: Server) -> None:
    line = b"POST /predict HTTP/1.1\r\nHost: x\r\n"
    head = line + b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    first = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    starts = {"body": head, "header": line, "header name": line + b"A: b\r\n", "nothing": b"", "second request": first}
    with ThreadPoolExecutor(len(starts)) as threads:
        answers = dict(zip(starts, threads.map(lambda start: drip(service, start), starts.values()), strict=True))
    for name, (answer, seconds) in answers.items():
        assert 4 < seconds < 12, (name, seconds)
        if name == "body":
            assert_problem(answer, 408, "body-too-slow")


def drip(service: Server, start: bytes) -> tuple[httpx.Response, float]:
    """Send a beginning, then a byte each second until the server ends the connection; also how long that took."""
    with service.connect() as connection:
        connection.sendall(start)
        if b"/livez" in start:
            assert read_answer(connection).status_code == 200
        began = time.perf_counter()
        connection.settimeout(1)
        answer = httpx.Response(599)
        for _ in range(14):
            try:
                # Blank lines may come before a request.
                connection.sendall(b"a" if start.startswith(b"POST") else b"\r\n")
                answer = read_answer(connection)
                break
            except TimeoutError:
                continue
            except OSError:
                break
        return answer, time.perf_counter() - began


def test_41_nothing_of_an_appended_file_comes_back(service: Server) -> None:
    case = next(case for case in FILES if case.item == 41)
    assert TAIL in case.data
    answer = service.client.post("/tumor/predict", json={"img": b64(case.data)})
    plain = service.client.post("/tumor/predict", json={"img": GOOD})
    assert answer.json() == plain.json()


@pytest.mark.parametrize("shape", [(1, 1), (1, 991), (400, 1), (31, 33), (489, 400), (991, 400)])
def test_42_the_mask_has_the_image_s_shape(service: Server, shape: tuple[int, int]) -> None:
    assert_mask(service.client.post("/predict", json={"img": b64(good_png(*shape))}), shape)


def test_42_many_shapes(service: Server) -> None:
    random = np.random.default_rng(42)
    for height, width in random.integers(1, 70, (40, 2)).tolist():
        assert_mask(service.client.post("/predict", json={"img": b64(good_png(height, width))}), (height, width))


def test_43_every_kind_of_png_gives_the_same_mask(service: Server) -> None:
    black_and_white = np.where(body() < 128, 0, 255).astype(np.uint8)
    plain = save(np.repeat(black_and_white[:, :, None], 3, axis=2))
    wanted = service.client.post("/predict", json={"img": b64(plain)}).json()
    cases = [case for case in FILES if case.item == 43]
    assert len(cases) == 32
    for case in cases:
        assert service.client.post("/predict", json={"img": b64(case.data)}).json() == wanted, case.name


def test_44_the_first_frame_counts(service: Server) -> None:
    case = next(case for case in FILES if case.item == 44)
    answer = service.client.post("/predict", json={"img": b64(case.data)})
    assert answer.json() == service.client.post("/predict", json={"img": GOOD}).json()


@pytest.mark.parametrize(("name", "code"), [("black", "uniform"), ("white", "uniform"), ("noise", "noise")])
def test_46_warning(service: Server, name: str, code: str) -> None:
    case = next(case for case in FILES if case.name == name)
    answer = service.client.post("/predict", json={"img": b64(case.data)})
    assert_mask(answer, (400, 400))
    assert code in answer.headers["x-input-warning"].split(", ")


def test_46_no_warning_for_a_body(service: Server) -> None:
    answer = service.client.post("/predict", json={"img": b64(save(make_phantom(2).mip))})
    assert "x-input-warning" not in answer.headers


MALFORMED_HTTP = {
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "unknown version": b"GET / HTTP/9.9\r\n\r\n",
    "letters outside of ASCII in the path": "GET /é HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "CONNECT": b"CONNECT example.org:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "negative length": b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunked": b"POST /predict HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "20-digit length": b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "chunk size not a number": b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "NUL in a header": b"GET /livez HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n",
    "bare line break smuggles a header": b"GET /livez HTTP/1.1\r\nHost: x\r\nA: b\rC: d\r\n\r\n",
}


@pytest.mark.parametrize("data", MALFORMED_HTTP.values(), ids=MALFORMED_HTTP.keys())
def test_malformed_http(service: Server, data: bytes) -> None:
    with service.connect() as connection:
        assert_problem(raw_exchange(connection, data), 400)
