"""The judge inside the service: imported and started once predictions are served, since that takes seconds."""

import asyncio
import logging
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import FrameType

import anyio.to_thread
import structlog
from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from mipjudge.settings import JudgeSettings
from mipseg.serving.openapi import describe_api
from mipseg.serving.problems import ProblemError

PREFIXES = ("/api/v1", "/scoreboard", "/attempts", "/judge-static")
READY_S = 10.0  # a model that takes longer to warm up is not waited for
WAIT_S = 25.0  # for the judge, by a request; clients give up after 30 s
DATA_S = 2.0  # between two looks for a data set
STOP_S = 6.0  # for the judge, by the end of the service; its workers have 5 s
SignalHandler = Callable[[int, FrameType | None], object]
_log = structlog.get_logger()


def add_judge(app: FastAPI, host: str, port: int) -> None:
    """Add the judge's paths to the service, and the judge itself when the service is ready.

    Args:
        app: the service.
        host: address where it listens; decides whether the judge is for this machine alone.
        port: TCP port where it listens.
    """
    judge = LateJudge(host, port)
    app.include_router(APIRouter(lifespan=judge.lifespan))
    app.router.routes.extend(Route(f"{prefix}{{rest:path}}", judge, include_in_schema=False) for prefix in PREFIXES)

    app.openapi = lambda: describe_api(app, judge.routes)  # type: ignore[method-assign]  # FastAPI's own way


class LateJudge:
    """An ASGI application whose requests wait until the judge is there.

    Args:
        host: address where the service listens.
        port: TCP port where it listens.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._routes: APIRouter | None = None
        self._decided, self._stop = asyncio.Event(), asyncio.Event()

    @property
    def routes(self) -> list[BaseRoute]:
        """The judge's routes; none while it is not there."""
        return self._routes.routes if self._routes else []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on to the judge; errors are answered by the service around."""
        try:
            async with asyncio.timeout(WAIT_S):
                await self._decided.wait()
        except TimeoutError:
            raise ProblemError("judge-starting", "the judge is still starting", {"Retry-After": "5"}) from None
        if self._routes is None:
            raise ProblemError("judge-unavailable", "the judge does not run; see the log", {"Retry-After": "5"})
        await self._routes(scope, receive, send)

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Run the judge while the service runs."""
        task = asyncio.create_task(self._run(app))
        with self._ended_before_the_server(task):
            yield
        await self._end(task)

    async def _run(self, app: FastAPI) -> None:
        try:
            await self._wait_until_ready(app)
            while not self._stop.is_set():
                routes = await anyio.to_thread.run_sync(self._build, abandon_on_cancel=True)
                async with routes.lifespan_context(app):
                    self._routes = routes
                    self._decided.set()
                    await self._until_data_comes(JudgeSettings().data_dir / "patients/imgs")
                    if not self._stop.is_set():
                        self._decided.clear()  # requests wait for the next judge
                    self._routes = None
        except Exception:
            _log.exception("judge_failed")
        finally:
            self._decided.set()

    async def _wait_until_ready(self, app: FastAPI) -> None:
        """Wait for the warm-up, which the judge's imports would slow down."""
        end = time.monotonic() + READY_S
        while not (app.state.ready or self._stop.is_set()) and time.monotonic() < end:
            await asyncio.sleep(0.05)

    async def _until_data_comes(self, images: Path) -> None:
        """Wait for the end, or for a data set to be installed where there was none: the judge is to use it."""
        was_there = images.is_dir()
        while not self._stop.is_set() and (was_there or not images.is_dir()):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), DATA_S)

    def _build(self) -> APIRouter:
        logging.getLogger("alembic").setLevel(logging.WARNING)  # it reports every part that it imports
        from mipjudge.app import create_judge  # noqa: PLC0415  # SQLAlchemy and Alembic: the seconds of the start

        return create_judge(JudgeSettings(host=self._host, port=self._port))

    async def _end(self, task: "asyncio.Task[None]") -> None:
        self._stop.set()
        if self._routes is not None:  # else nothing runs yet that is worth waiting for
            await asyncio.wait([task], timeout=STOP_S)
        task.cancel()

    @contextmanager
    def _ended_before_the_server(self, task: "asyncio.Task[None]") -> Iterator[None]:
        """Let a signal end the judge first.

        The server stops listening before it ends the application; in between, a worker that judges this very service
        would score image after image as unreachable.
        """
        loop, handlers = asyncio.get_running_loop(), dict[signal.Signals, SignalHandler]()
        if threading.current_thread() is threading.main_thread():  # no other gets signals
            for number in (signal.SIGINT, signal.SIGTERM):
                if callable(handler := signal.getsignal(number)):
                    handlers[number] = handler

        def on_signal(number: int, frame: FrameType | None) -> None:
            async def end() -> None:
                await self._end(task)
                handlers[signal.Signals(number)](number, frame)

            asyncio.run_coroutine_threadsafe(end(), loop)

        for number in handlers:
            signal.signal(number, on_signal)
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
