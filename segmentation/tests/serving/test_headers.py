"""Headers of every answer, HEAD, pages of other origins, and a proxy in front."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI, Response

from mipseg.model.segmenter import load_segmenter
from mipseg.serving.app import create_app
from mipseg.settings import Settings
from tests.serving.answers import GOOD, assert_mask, assert_problem
from tests.serving.server import Server, raw_exchange

ORIGIN = "https://viewer.example"
PAGES = ["/livez", "/readyz", "/api", "/metrics", "/docs", "/openapi.json"]


def ask(app: FastAPI, method: str, path: str, **options: Any) -> httpx.Response:
    """One request to an application without a server."""

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
            return await client.request(method, path, **options)

    return asyncio.run(send())


def app_of(**settings: Any) -> FastAPI:
    return create_app(np.zeros_like, load_segmenter(), Settings(**settings))


@pytest.mark.parametrize("path", PAGES)
def test_head_is_get_without_a_body(service: Server, path: str) -> None:
    get, head = service.client.get(path), service.client.head(path)
    assert (head.status_code, head.content) == (get.status_code, b"") == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    if path not in ("/api", "/metrics"):  # these change from one request to the next
        assert head.headers["content-length"] == get.headers["content-length"]


def test_head_of_nothing_and_of_what_takes_a_body(service: Server) -> None:
    assert service.client.head("/nowhere").status_code == 404
    assert service.client.head("/tumor/predict").status_code == 405


def test_the_connection_is_usable_after_head(service: Server) -> None:
    both = b"HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    with service.connect() as connection:
        connection.sendall(both[0])
        head = connection.recv(65536)
        assert head.startswith(b"HTTP/1.1 200")
        assert head.endswith(b"\r\n\r\n")
        assert raw_exchange(connection, both[1]).json() == {"status": "ok"}


def test_head_is_logged_with_its_route(service: Server) -> None:
    request_id = service.client.head("/api").headers["x-request-id"]
    (entry,) = service.log_of([request_id])
    assert (entry["method"], entry["route"], entry["status"]) == ("HEAD", "/api", 200)


@pytest.mark.parametrize("path", ["/predict/", "/tumor/predict/"])
def test_a_slash_at_the_end_is_no_redirect(service: Server, path: str) -> None:
    assert_mask(service.client.post(path, json={"img": GOOD}), (96, 80))


def test_analyze_takes_a_slash_at_the_end(service: Server) -> None:
    assert service.client.post("/tumor/analyze/", json={"img": GOOD}).status_code == 200


@pytest.mark.parametrize("path", ["/livez", "/api", "/nowhere", "/openapi.json", "/metrics"])
def test_answers_are_safe_in_a_browser(service: Server, path: str) -> None:
    headers = service.client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_masks_and_refusals_are_safe_in_a_browser(service: Server) -> None:
    for content in (b'{"img":"' + GOOD.encode() + b'"}', b"x", b" " * 7_000_000):
        headers = service.client.post("/predict", content=content).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_a_page_keeps_its_own_policy() -> None:
    app = app_of()
    own = "default-src 'self'; frame-ancestors 'none'"
    app.add_api_route("/page", lambda: Response("", headers={"Content-Security-Policy": own}))
    assert ask(app, "GET", "/page").headers["content-security-policy"] == own


def test_other_origins_may_not_call_by_default() -> None:
    answer = ask(app_of(), "GET", "/livez", headers={"Origin": ORIGIN})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    assert_problem(ask(app_of(), "OPTIONS", "/tumor/predict", headers=preflight), 405)


def test_named_origins_may_call() -> None:
    app = app_of(cors_origins=f"https://a.example, {ORIGIN}")
    preflight = {
        "Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type",
    }  # fmt: skip
    allowed = ask(app, "OPTIONS", "/tumor/predict", headers=preflight)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert allowed.headers["access-control-allow-methods"] == "GET, POST, PUT, DELETE"
    answer = ask(app, "POST", "/tumor/predict", headers={"Origin": ORIGIN}, json={"img": GOOD})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert answer.headers["access-control-expose-headers"] == "X-Request-ID, X-Input-Warning, Location"
    refused = ask(app, "POST", "/tumor/predict", headers={"Origin": ORIGIN}, content=b"x")
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (400, ORIGIN)
    stranger = ask(app, "GET", "/livez", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in stranger.headers


@pytest.mark.long
def test_behind_a_proxy_with_a_root_path(tmp_path: Path) -> None:
    with Server(tmp_path, "faulty", {"ROOT_PATH": "/mipseg"}) as server:
        server.wait_until_ready()
        assert_mask(server.client.post("/tumor/predict", json={"img": GOOD}), (96, 80))
        assert server.client.get("/docs").status_code == 200
        schema = server.client.get("/openapi.json").json()
        assert schema["servers"] == [{"url": "/mipseg"}]
