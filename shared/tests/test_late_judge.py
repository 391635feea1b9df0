import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from mipseg.model.segmenter import MODELS, Segmenter
from mipseg.serving.app import create_app
from mipseg.settings import Settings
from mipserve import judge
from mipserve.judge import LateJudge, add_judge


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FastAPI:
    """A service whose judges say how many were built, and whether they ended."""
    app = create_app(lambda image: image * 0, Segmenter(MODELS / "unused"), Settings())
    app.state.built, app.state.ended = [], []

    def build(_: LateJudge) -> APIRouter:
        number = len(app.state.built) + 1
        app.state.built.append(number)
        time.sleep(0.3 * (number > 1))  # while a request is waiting

        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            yield
            app.state.ended.append(number)

        router = APIRouter(lifespan=lifespan, tags=["judge"])

        @router.get("/scoreboard")
        def scoreboard() -> int:
            """Which judge this is."""
            return number

        return router

    monkeypatch.setattr(judge, "DATA_S", 0.02)
    monkeypatch.setattr(LateJudge, "_build", build)
    monkeypatch.setenv("MIPSEG_JUDGE_DATA_DIR", str(tmp_path / "data"))
    add_judge(app, "127.0.0.1", 8000)
    return app


async def ask(app: FastAPI, path: str = "/scoreboard") -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        return await client.get(path)


def test_a_data_set_that_is_installed_reaches_the_running_judge(app: FastAPI, tmp_path: Path) -> None:
    async def check() -> None:
        async with app.router.lifespan_context(app):
            assert (await ask(app)).json() == 1
            await asyncio.sleep(0.2)
            assert app.state.built == [1]
            (tmp_path / "data/patients/imgs").mkdir(parents=True)
            async with asyncio.timeout(20):
                while (answer := (await ask(app)).json()) == 1:
                    await asyncio.sleep(0.01)
            assert answer == 2  # it waited for the next judge, and was not refused
            assert app.state.ended == [1]
            await asyncio.sleep(0.2)
            assert app.state.built == [1, 2]
        assert app.state.ended == [1, 2]

    asyncio.run(check())


def test_a_judge_on_a_data_set_stays(app: FastAPI, tmp_path: Path) -> None:
    (tmp_path / "data/patients/imgs").mkdir(parents=True)

    async def check() -> None:
        async with app.router.lifespan_context(app):
            assert (await ask(app)).json() == 1
            (tmp_path / "data").rename(tmp_path / "elsewhere")
            await asyncio.sleep(0.2)
            assert app.state.built == [1]

    asyncio.run(check())


def test_the_schema_has_the_judge_while_it_is_there(app: FastAPI) -> None:
    async def check() -> None:
        assert "/scoreboard" not in (await ask(app, "/openapi.json")).json()["paths"]
        async with app.router.lifespan_context(app):
            await ask(app)
            schema = (await ask(app, "/openapi.json")).json()
            assert schema["paths"]["/scoreboard"]["get"]["summary"] == "Which judge this is"
            assert {"404", "503"} <= set(schema["paths"]["/scoreboard"]["get"]["responses"])
            assert "/tumor/predict" in schema["paths"]
        assert "/scoreboard" not in (await ask(app, "/openapi.json")).json()["paths"]

    asyncio.run(check())
