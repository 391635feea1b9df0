"""Nothing that was sent gets into logs, metrics or errors; one event is one JSON line."""

import asyncio
import json
import re
import uuid
from http import HTTPMethod
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from mipseg import serving
from mipseg.model.segmenter import load_segmenter
from mipseg.serving.app import create_app
from mipseg.settings import Settings
from tests.serving import served_app
from tests.serving.answers import GOOD, assert_problem
from tests.serving.images import b64, good_png
from tests.serving.server import Server, raw_exchange

CANARY = "Canary7Müller"
PLAIN = "Canary7Mueller"


def send_canaries(server: Server) -> None:
    """The canary in every place of a request."""
    post = server.client.post
    bodies = [{"img": PLAIN}, {PLAIN: GOOD}, {"img": GOOD, PLAIN: PLAIN}, {"img": {PLAIN: [PLAIN]}}, [PLAIN], PLAIN]
    bodies.append({"img": b64(PLAIN.encode())})
    bodies.append({"img": b64(good_png() + PLAIN.encode())})
    for path in ("/predict", "/tumor/analyze", f"/{PLAIN}", f"/predict?{PLAIN}={PLAIN}", f"/%0a{PLAIN}"):
        for body in bodies:
            answer = post(path, json=body, headers={"X-Request-ID": PLAIN, "User-Agent": PLAIN, PLAIN: PLAIN})
            assert PLAIN not in answer.text
            assert PLAIN not in str(answer.headers)
    post("/tumor/analyze", json={"img": GOOD, "pixel_spacing": [PLAIN, PLAIN]})
    post("/predict", content=CANARY.encode(), headers={"content-type": PLAIN, "content-encoding": PLAIN})
    post("/predict", content=CANARY.encode("latin-1"), headers={"content-type": "application/json"})
    for method in (PLAIN.upper(), "BREW"):
        server.client.request(method, f"/{PLAIN}", headers={"Cookie": PLAIN, "Authorization": PLAIN})
    for line in (
        f"{PLAIN} / HTTP/1.1",
        f"GET /{CANARY} HTTP/1.1",
        f"GET /{PLAIN} {PLAIN}",
        f"GET / HTTP/1.1\r\n{CANARY}",
    ):
        with server.connect() as connection:
            raw_exchange(connection, f"{line}\r\nHost: {PLAIN}\r\nX-Request-ID: {PLAIN}\r\n\r\n".encode())
    with server.connect() as connection:
        upgrade = f"GET /{PLAIN} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: {PLAIN}\r\n\r\n"
        assert_problem(raw_exchange(connection, upgrade.encode()), 404)


@pytest.mark.hazard("H15")
def test_a_canary_is_nowhere(service: Server) -> None:
    send_canaries(service)
    service.last_answered()
    assert not re.search("canary7", service.log(), re.IGNORECASE)
    assert not re.search("canary7", service.client.get("/metrics").text, re.IGNORECASE)
    assert not any("canary" in file.name.lower() for file in Path(service.log_file).parent.iterdir())


@pytest.mark.hazard("H15")
def test_one_request_is_one_json_line(service: Server) -> None:
    requests: list[dict[str, Any]] = [{"json": {"img": text}} for text in (GOOD, "!", "aGk=")]
    requests.append({"content": b"a\nb\r\nc", "headers": {"X-Forwarded-For": "evil"}})
    ids = [service.client.post("/predict", **request).headers["x-request-id"] for request in requests]
    entries = service.log_of([*ids, service.last_answered()])[:-1]
    assert [entry["event"] for entry in entries] == ["request"] * 4
    assert [entry["request_id"] for entry in entries] == ids
    assert [entry["status"] for entry in entries] == [200, 422, 422, 400]
    assert {entry["route"] for entry in entries} == {"/predict"}
    assert all(0 <= entry["seconds"] < 10 and entry["timestamp"] and entry["level"] for entry in entries)


@pytest.mark.alone
@pytest.mark.parametrize("fault", [served_app.RAISE, served_app.EXIT, served_app.TEXT])
def test_every_line_of_the_log_is_json(faulty_service: Server, fault: int) -> None:
    image = served_app.faulty_image(fault)
    assert_problem(faulty_service.client.post("/predict", json={"img": image}), 500)
    faulty_service.last_answered()
    for line in faulty_service.log().splitlines():
        assert json.loads(line)["event"]


def test_every_line_of_the_builtin_service_s_log_is_json(service: Server) -> None:
    send_canaries(service)
    service.last_answered()
    for line in service.log().splitlines():
        assert json.loads(line)["event"]


@pytest.mark.parametrize("given", [uuid.UUID(int=7).hex, str(uuid.UUID(int=7))])
def test_a_uuid_is_taken_over_as_request_id(service: Server, given: str) -> None:
    assert service.client.get("/livez", headers={"X-Request-ID": given}).headers["x-request-id"] == given
    problem = service.client.get("/nowhere", headers={"X-Request-ID": given})
    assert_problem(problem, 404)
    assert problem.json()["request_id"] == given


@pytest.mark.parametrize(
    "given", [PLAIN, "", "-" * 20_000 + "0" * 32, "urn:uuid:" + "0" * 32, "0" * 31 + "_", "{" + "0" * 32 + "}"]
)
def test_any_other_request_id_is_replaced(service: Server, given: str) -> None:
    answer = service.client.get("/nowhere", headers={"X-Request-ID": given})
    assert_problem(answer, 404)
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_an_error_that_nobody_foresaw_counts_as_500(tmp_path: Path) -> None:
    app = create_app(np.zeros_like, load_segmenter(), Settings(jobs_dir=tmp_path))
    app.add_api_route("/broken", lambda: 1 / 0)

    async def ask() -> tuple[httpx.Response, str]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            return await client.get("/broken"), (await client.get("/metrics")).text

    answer, metrics = asyncio.run(ask())
    assert_problem(answer, 500, "service-error")
    assert 'mipseg_requests_total{method="GET",route="/broken",status="500"} 1.0' in metrics


def test_metrics_count_by_route_pattern(service: Server) -> None:
    def count(labels: str) -> float:
        found = re.search(rf"^mipseg_requests_total{{{labels}}} (\S+)$", service.client.get("/metrics").text, re.M)
        return float(found[1]) if found else 0

    good = 'method="POST",route="/tumor/predict",status="200"'
    unknown = 'method="other",route="unknown",status="404"'
    correction = 'method="PUT",route="/v1/jobs/{job_id}/mask",status="415"'
    before = count(good), count(unknown), count(correction)
    answers = [
        service.client.post("/tumor/predict", json={"img": GOOD}),
        service.client.put("/v1/jobs/1/mask"),
        service.client.request("PURGE", "/nowhere/1"),
        service.client.request("PROPFIND", "/nowhere/2"),
    ]
    service.log_of([answer.headers["x-request-id"] for answer in answers])  # counted just before they are logged
    assert (count(good), count(unknown), count(correction)) == (before[0] + 1, before[1] + 2, before[2] + 1)


def test_metrics_hold_known_labels_only(service: Server) -> None:
    service.client.get("/predict/x?y=z")
    service.client.get("/static/nothing.css")
    text = service.client.get("/metrics").text
    assert set(re.findall(r'method="([^"]*)"', text)) <= {*HTTPMethod, "other"}
    known = set(service.client.get("/openapi.json").json()["paths"]) | {"/predict", "unknown", "/docs", "/openapi.json"}
    known |= {"/predict/", "/tumor/predict/", "/tumor/analyze/"}
    known |= {f"/static/{file.name}" for file in (Path(serving.__file__).parent / "static").iterdir()}
    assert set(re.findall(r'route="([^"]*)"', text)) <= known
    assert "mipseg_ready 1.0" in text
    assert "mipseg_predictions_inside 0.0" in text
