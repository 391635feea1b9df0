import json
import time
import tracemalloc

import pytest

from mipseg.http.json_body import REQUEST_PARTS, JsonError, read_json
from tests.serving.answers import GOOD, JSON, assert_problem, assert_still_serves
from tests.serving.server import Server

SIZE = 6 * 2**20
MANY_PARTS = {
    "fields": b'{"img":"x",' + b",".join(b'"%d":1' % number for number in range(500_000)) + b"}",
    "lists": b'{"img":[' + b"[]," * 2_000_000 + b"[]]}",
    "numbers": b"[" + b"1," * 3_000_000 + b"1]",
    "objects": b"[" + b"{}," * 2_000_000 + b"{}]",
    "depth": b"[" * SIZE,
    "depth of objects": b'{"a":' * 1_000_000,
}


@pytest.mark.parametrize("body", MANY_PARTS.values(), ids=MANY_PARTS.keys())
def test_many_parts_are_refused_before_they_are_made(body: bytes) -> None:
    tracemalloc.start()
    try:
        started = time.process_time()
        with pytest.raises(JsonError, match="more than 1000 parts"):
            read_json(body, REQUEST_PARTS)
        assert time.process_time() - started < 0.2
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_as_many_parts_as_allowed() -> None:
    assert read_json(b"[" + b"1," * (REQUEST_PARTS - 1) + b"1]", REQUEST_PARTS) == [1] * REQUEST_PARTS
    with pytest.raises(JsonError, match="parts"):
        read_json(b"[" + b"1," * REQUEST_PARTS + b"1]", REQUEST_PARTS)


def test_one_large_text_is_one_part() -> None:
    text = "A" * (SIZE - 20)
    assert read_json(json.dumps({"img": text}).encode(), REQUEST_PARTS) == {"img": text}


@pytest.mark.parametrize("body", [b"", b"img", b"\xff\xfe", b"\xef\xbb\xbf", "{}".encode("utf-16"), b"9" * 5000, b"{"])
def test_what_is_not_json(body: bytes) -> None:
    with pytest.raises(JsonError, match="not JSON in UTF-8"):
        read_json(body, REQUEST_PARTS)


def test_a_byte_order_mark_is_skipped() -> None:
    assert read_json(b'\xef\xbb\xbf{"img": "\xc3\xa9"}', REQUEST_PARTS) == {"img": "é"}


@pytest.mark.hazard("H4")
@pytest.mark.parametrize("body", [MANY_PARTS["fields"], MANY_PARTS["lists"]], ids=["fields", "lists"])
def test_the_service_refuses_many_parts_at_little_cost(service: Server, body: bytes) -> None:
    body = body[:SIZE]
    with service.memory_growth_below(60):
        started = service.seconds()
        answer = service.client.post("/tumor/predict", content=body, headers=JSON)
        assert service.seconds() - started < 0.5
    assert_problem(answer, 400, "invalid-json")
    assert "more than 1000 parts" in answer.json()["detail"]
    assert_still_serves(service)


def test_the_service_accepts_a_byte_order_mark(service: Server) -> None:
    body = json.dumps({"img": GOOD}).encode("utf-8-sig")
    answer = service.client.post("/tumor/predict", content=body, headers=JSON)
    assert answer.json() == service.client.post("/tumor/predict", json={"img": GOOD}).json()
