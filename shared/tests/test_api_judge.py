"""The judge inside the service, as real processes on phantoms."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from fastapi import APIRouter, FastAPI
from starlette.routing import Route

from mipjudge.pages import make_pages
from mipjudge.protocol import make_protocol
from mipjudge.service import Judge
from mipjudge.settings import JudgeSettings
from mipseg.model.segmenter import MODELS, Segmenter
from mipseg.serving.app import create_app
from mipseg.settings import Settings
from mipseg.types import Image, Mask
from mipserve import judge
from mipserve.judge import PREFIXES, LateJudge, add_judge

pytestmark = pytest.mark.long  # whole programs

if TYPE_CHECKING:
    from shared.tests.conftest import Service

Start = Callable[..., "Service"]
VALIDATE = Path(sys.executable).with_name("validate")
IMAGES = 6
IMAGE = np.full((40, 30, 3), 200, np.uint8)
EXAMPLE = "import time\ndef predict(img):\n    time.sleep({seconds})\n    return (img < 50) * img.dtype.type(255)\n"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A threshold as the team's function, and a judge with few phantoms, away from the developer's own."""
    monkeypatch.chdir(tmp_path)  # no .env
    for name in ("EVAL_API_URL", "EVAL_API_TOKEN", "TUMOR_SEGMENTATION_SERVICE_URL", "MIPSEG_JUDGE_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MIPSEG_JUDGE_DIR", str(tmp_path / "judge"))
    monkeypatch.setenv("MIPSEG_JUDGE_SET_SIZE", str(IMAGES))
    monkeypatch.setenv("MIPSEG_JUDGE_DATA_DIR", str(tmp_path / "no-data"))
    monkeypatch.setenv("MIPSEG_API_TASK_DIR", str(tmp_path))
    write_example(tmp_path)


def write_example(folder: Path, seconds: float = 0.0) -> None:
    (folder / "example.py").write_text(EXAMPLE.format(seconds=seconds))


def events(service: "Service") -> list[dict[str, Any]]:
    return [json.loads(line) for line in service.log.splitlines() if line.startswith("{")]


def wait_for_event(service: "Service", name: str) -> None:
    service.wait_until(lambda: f'"event": "{name}"' in service.log)


def is_problem(answer: httpx.Response, status: int, code: str) -> bool:
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers.get_list("x-request-id") == [answer.json()["request_id"]]
    return True


def end(service: "Service", number: signal.Signals = signal.SIGTERM, within_s: float = 8) -> None:
    service.process.send_signal(number)
    assert service.process.wait(within_s) == 0
    assert [event for event in events(service) if event["level"] not in ("info", "debug")] == []
    assert "Traceback" not in service.log


def validate(service: "Service", *arguments: str) -> tuple[int, dict[str, Any], str]:
    """The client's exit code, its object, and what it told."""
    urls = {"EVAL_API_URL": service.url(""), "TUMOR_SEGMENTATION_SERVICE_URL": service.url("")}
    run = subprocess.run(
        [VALIDATE, "--json", *arguments],
        env={**os.environ, **urls},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return run.returncode, json.loads(run.stdout), run.stderr


def make_service(seconds: float = 0.0) -> FastAPI:
    def predict(image: Image) -> Mask:
        time.sleep(seconds)
        return np.zeros_like(image)

    app = create_app(predict, Segmenter(MODELS / "unused"), Settings())
    add_judge(app, "127.0.0.1", 8000)
    return app


async def ask(app: FastAPI) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        return await client.get("/scoreboard")


def test_importing_the_service_imports_no_judge() -> None:
    unwanted = {"sqlalchemy", "alembic", "mipjudge.app", "mipjudge.service"}
    code = f"import sys, mipserve.app, mipserve.server; print(sorted({unwanted} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_every_path_of_the_judge_leads_to_it() -> None:
    inside = Judge(JudgeSettings(_env_file=None))
    routers = (make_protocol(inside), make_pages(inside))
    paths = [route.path for router in routers for route in router.routes if isinstance(route, Route)]
    assert len(paths) > 10
    assert [path for path in paths if not path.startswith(PREFIXES)] == []


def test_a_request_does_not_wait_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "WAIT_S", 0.05)
    answer = asyncio.run(ask(make_service()))  # without its lifespan, the judge never comes
    assert is_problem(answer, 503, "judge-starting")
    assert answer.headers["retry-after"] == "5"


def test_the_judge_is_not_imported_before_the_service_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_service(seconds=1.0)
    build = LateJudge._build
    ready: list[bool] = []

    def record_and_build(late_judge: LateJudge) -> APIRouter:
        ready.append(app.state.ready)
        return build(late_judge)

    async def ask_at_once() -> httpx.Response:
        async with app.router.lifespan_context(app):
            return await ask(app)

    monkeypatch.setattr(LateJudge, "_build", record_and_build)
    assert asyncio.run(ask_at_once()).status_code == 200
    assert ready == [True]


@pytest.mark.long
def test_the_judge_comes_when_the_service_is_ready_and_early_requests_wait(
    start: Start, port: int, tmp_path: Path
) -> None:
    write_example(tmp_path, seconds=2)
    service = start(port, "--no-reload")
    service.wait_until_it_answers()
    assert httpx.get(service.url("/readyz")).status_code == 503
    early = httpx.get(service.url("/api/v1/scoreboard"), timeout=30)
    assert (early.status_code, early.json()["count"]) == (200, 0)
    wait_for_event(service, "request")  # logged once the answer is on its way, so maybe after it came
    order = [event["event"] for event in events(service) if event["event"] in ("ready", "judge_ready", "request")]
    assert order == ["ready", "judge_ready", "request"]
    end(service)


@pytest.mark.long
def test_each_path_is_answered_by_whom_it_belongs_to(start: Start, port: int) -> None:
    service = start(port, "--host", "0.0.0.0")
    service.wait_until_it_answers("/api/v1/scoreboard")
    for method, path, status, code, allow in (
        ("GET", "/nope", 404, "not-found", None),
        ("GET", "/predict", 405, "method-not-allowed", "POST"),
        ("POST", "/readyz", 405, "method-not-allowed", "GET"),
        ("GET", "/tumor/nope", 404, "not-found", None),
        ("POST", "/scoreboard", 405, "method-not-allowed", "GET"),
        ("DELETE", "/api/v1/local/team", 405, "method-not-allowed", "POST"),
        ("GET", "/api/v1", 404, "not-found", None),
        ("GET", "/api/v1/nope", 404, "not-found", None),
        ("GET", "/attempts", 404, "not-found", None),
        ("GET", "/scoreboard/", 404, "not-found", None),
        ("GET", "/judge-static/nope", 404, "not-found", None),
        ("GET", "/api/v1/attempts/nope", 401, "bad-token", None),
        ("POST", "/api/v1/local/team", 404, "not-found", None),  # others reach this service
    ):
        answer = httpx.request(method, service.url(path))
        assert is_problem(answer, status, code), (method, path)
        assert answer.headers.get("allow") == allow, (method, path)
    redirected = httpx.get(service.url("/readyz/"))
    assert (redirected.status_code, redirected.headers["location"]) == (307, service.url("/readyz"))
    for path in ("/scoreboard", "/attempts/1", "/judge-static/judge.css"):
        assert httpx.get(service.url(path)).status_code == 200
    assert 'href="scoreboard"' in httpx.get(service.url("/")).text
    assert 'route="/api/v1/scoreboard"' in httpx.get(service.url("/metrics")).text
    assert "/api/v1/scoreboard" in httpx.get(service.url("/openapi.json")).json()["paths"]


@pytest.mark.long
def test_validate_gives_a_score(start: Start, port: int) -> None:
    service = start(port)  # with hot reload, as `make api` does
    service.wait_until_it_answers("/readyz")
    code, result, told = validate(service, "--wait")
    assert (code, result["status"]) == (0, "done"), told
    assert 0 < result["score"] < 1
    assert f"scoring on {IMAGES} phantoms, as no data set is installed (fewer: MIPSEG_JUDGE_SET_SIZE)" in told
    assert httpx.get(service.url("/api/v1/scoreboard")).json()["count"] == 1


def test_a_judge_behind_a_proxy_is_public(start: Start, port: int, tmp_path: Path) -> None:
    service = start(port, "--no-reload", "--root-path", "/mipseg")
    service.wait_until_it_answers("/api/v1/scoreboard")
    headers = {"x-forwarded-for": "192.0.2.1"}
    for path in ("/scoreboard", "/attempts/1", "/judge-static/attempt.js"):
        assert httpx.get(service.url(path), headers=headers).status_code == 200
    code, told, _ = validate(service)
    assert (code, told["error"]) == (2, "no-token")
    assert not (tmp_path / "judge/local-secret").exists()


@pytest.mark.long
def test_a_judge_that_cannot_start_takes_nothing_down(start: Start, port: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no database" * 1000)
    service = start(port, "--no-reload", MIPSEG_JUDGE_DATABASE_URL=f"sqlite:///{tmp_path / 'file'}")
    wait_for_event(service, "judge_failed")
    answer = httpx.get(service.url("/api/v1/scoreboard"))
    assert is_problem(answer, 503, "judge-unavailable")
    assert answer.headers["retry-after"] == "5"
    assert service.predict(IMAGE).max() == 0
    assert httpx.get(service.url("/readyz")).status_code == 200
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(8) == 0
    assert [event["event"] for event in events(service) if event["level"] == "error"] == ["judge_failed"]


def test_a_judge_with_wrong_settings_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIPSEG_JUDGE_SEED", "x")
    app = make_service()

    async def ask_while_it_runs() -> httpx.Response:
        async with app.router.lifespan_context(app):
            return await ask(app)

    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert is_problem(asyncio.run(ask_while_it_runs()), 503, "judge-unavailable")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_service_ends_while_its_judge_is_being_built(start: Start, port: int, tmp_path: Path) -> None:
    file = tmp_path / "judge.sqlite3"
    with closing(sqlite3.connect(file)) as holder:
        holder.execute("BEGIN EXCLUSIVE")  # the judge waits for its database
        service = start(port, "--no-reload", MIPSEG_JUDGE_DATABASE_URL=f"sqlite:///{file}")
        wait_for_event(service, "ready")
        assert "judge_ready" not in service.log
        end(service, signal.SIGINT)


@pytest.mark.long
def test_a_validation_goes_on_after_a_restart(start: Start, port: int, tmp_path: Path) -> None:
    write_example(tmp_path, seconds=0.3)
    service = start(port, "--no-reload")
    service.wait_until_it_answers("/readyz")
    assert validate(service)[0] == 0
    service.wait_until(lambda: service.log.count('"route": "/predict"') >= 2)
    end(service)
    assert "attempt_released" in service.log
    again = start(port, "--no-reload")
    wait_for_event(again, "attempt_done")
    claimed = next(event for event in events(again) if event["event"] == "attempt_claimed")
    assert 1 <= claimed["saved"] < IMAGES
    with closing(sqlite3.connect(tmp_path / "judge/judge.sqlite3")) as database:
        # The worker never sent an image to a service that no longer listened.
        assert database.execute("SELECT reason, count(*) FROM results GROUP BY reason").fetchall() == [(None, IMAGES)]
