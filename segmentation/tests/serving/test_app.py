import asyncio
import hashlib
import re
import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from mipseg.model.segmenter import MODELS, Segmenter
from mipseg.pipeline import segment_image
from mipseg.serving.app import create_app
from mipseg.settings import Settings
from mipseg.types import Image, Mask
from tests.serving.answers import GOOD, assert_problem
from tests.serving.server import Server


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app inside of its lifespan, without a server."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        yield client


async def ready(client: httpx.AsyncClient, seconds: float = 60) -> bool:
    for _ in range(int(seconds / 0.02)):
        if (await client.get("/readyz")).status_code == 200:
            return True
        await asyncio.sleep(0.02)
    return False


def test_livez(service: Server) -> None:
    answer = service.client.get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_readyz(service: Server) -> None:
    answer = service.client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/api", "/docs", "/openapi.json", "/nowhere"])
def test_every_answer_has_a_request_id(service: Server, path: str) -> None:
    assert len(service.client.get(path).headers["x-request-id"]) == 32
    assert len(service.client.delete(path).headers["x-request-id"]) == 32


def test_api_names_version_function_and_model(service: Server, segmenter: Segmenter) -> None:
    content = service.client.get("/api").json()
    assert content["service"] == "mipseg"
    assert content["version"].count(".") == 2
    assert 0 < content["uptime_s"] < 3600
    config = segmenter.config
    assert content["model"].pop("runtime") in ("openvino", "onnxruntime")
    assert content["model"].pop("precision") in ("bfloat16", "float32")
    assert content["model"] == {"name": config.name, "sha256": config.sha256}
    assert content["predict"]["name"].endswith("make_app.<locals>.<lambda>")
    source = (Path(__file__).parent / "served_app.py").read_bytes()
    assert content["predict"]["sha256"] == hashlib.sha256(source).hexdigest()


def test_api_tells_the_limits_of_its_settings(segmenter: Segmenter) -> None:
    settings = Settings(max_body_bytes=2000, max_pixels=3000, max_upload_bytes=4000)
    app = create_app(np.zeros_like, segmenter, settings)

    async def ask() -> Any:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
            return (await client.get("/api")).json()["limits"]

    limits = {"max_body_bytes": 2000, "max_pixels": 3000, "max_upload_bytes": 4000, "max_files": 50_000}
    assert asyncio.run(ask()) == limits
    described = app.openapi()["components"]["schemas"]["Limits"]["properties"]
    assert {name for name, field in described.items() if field["description"]} == limits.keys()


def test_docs(service: Server) -> None:
    answer = service.client.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "://" not in answer.text  # nothing of it comes from elsewhere
    parts = [part for part in re.findall(r'(?:href|src)="([^"]+)"', answer.text) if part != "."]
    assert {"css", "js", "svg"} <= {part.rpartition(".")[2] for part in parts}
    for part in parts:
        assert service.client.get(part).status_code == 200, part
    (script,) = (part for part in parts if part.endswith("docs.js"))
    assert '"openapi.json"' in service.client.get(script).text


def test_not_ready_before_the_warm_up_and_ready_after_it() -> None:
    go, unused = threading.Event(), Segmenter(MODELS / Settings().model)

    def waits(img: Image) -> Mask:
        assert go.wait(10)
        return np.zeros_like(img)

    async def scenario() -> None:
        async with running(create_app(waits, unused, Settings())) as client:
            await asyncio.sleep(0.1)
            answer = await client.get("/readyz")
            assert_problem(answer, 503, "not-ready")
            assert (await client.get("/livez")).status_code == 200
            assert (await client.get("/api")).json()["model"] is None
            go.set()
            assert await ready(client)
            # The networks that are built in are not loaded for a function that does without them …
            assert (await client.get("/api")).json()["model"] is None
            assert not unused.is_loaded
            # … but when they are asked for.
            assert (await client.post("/tumor/analyze", json={"img": GOOD})).status_code == 200
            assert (await client.get("/api")).json()["model"]["name"] == unused.config.name

    asyncio.run(scenario())


def test_warm_up_is_never_beside_another_prediction(segmenter: Segmenter) -> None:
    running_now, most = 0, 0
    lock = threading.Lock()

    def counts(img: Image) -> Mask:
        nonlocal running_now, most
        with lock:
            running_now += 1
            most = max(most, running_now)
        threading.Event().wait(0.1)
        with lock:
            running_now -= 1
        return np.zeros_like(img)

    async def scenario() -> None:
        async with running(create_app(counts, segmenter, Settings())) as client:
            await asyncio.sleep(0)
            answers = await asyncio.gather(*(client.post("/predict", json={"img": GOOD}) for _ in range(3)))
            assert [answer.status_code for answer in answers] == [200] * 3
            assert await ready(client)

    asyncio.run(scenario())
    assert most == 1


def fails(img: Image) -> Mask:
    raise RuntimeError("no")


def exits(img: Image) -> Mask:
    raise SystemExit(1)


def wrong_mask(img: Image) -> Mask:
    return img[:1]


@pytest.mark.parametrize("predict", [fails, exits, wrong_mask])
def test_not_ready_if_the_warm_up_fails(segmenter: Segmenter, predict: object) -> None:
    async def scenario() -> None:
        async with running(create_app(predict, segmenter, Settings())) as client:  # type: ignore[arg-type]
            assert not await ready(client, 0.5)
            assert_problem(await client.get("/readyz"), 503, "not-ready")
            assert (await client.get("/livez")).status_code == 200

    asyncio.run(scenario())


@pytest.fixture
def copied_model(tmp_path: Path) -> Path:
    """A copy of the model that the settings name, to be damaged."""
    return shutil.copytree(MODELS / Settings().model, tmp_path / Settings().model)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.hazard("H13")
@pytest.mark.parametrize("damage", [
    "none", "flip",
    *(pytest.param(damage, marks=pytest.mark.long) for damage in ("no weights", "no config", "bad config")),
])  # fmt: skip
def test_a_damaged_model_is_never_ready(copied_model: Path, damage: str) -> None:
    weights, config = copied_model / "network-1.onnx", copied_model / "config.json"
    if damage == "flip":
        flip(weights)
    elif damage == "bad config":
        config.write_text("{}")
    elif damage != "none":
        (weights if damage == "no weights" else config).unlink()

    async def scenario() -> None:
        segmenter = Segmenter(copied_model)
        app = create_app(lambda img: segment_image(img, segmenter), segmenter, Settings())
        async with running(app) as client:
            assert await ready(client, 60 if damage == "none" else 0.5) == (damage == "none")
            for path in ("/predict", "/tumor/predict", "/tumor/analyze"):
                answer = await client.post(path, json={"img": GOOD})
                if damage == "none":
                    assert answer.status_code == 200
                else:
                    assert_problem(answer, 503, "model-unavailable")
                    assert str(copied_model) not in answer.text

    asyncio.run(scenario())
