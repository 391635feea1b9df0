"""The application that both ports serve; more is added to it in the unified API."""

import asyncio
import hashlib
import inspect
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import structlog
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from mipseg.checks import validate_segmentation
from mipseg.errors import ModelError
from mipseg.io.archive import MAX_FILES
from mipseg.model.segmenter import Segmenter
from mipseg.serving import memory, problems
from mipseg.serving.headers import HeadAsGet, SafeHeaders
from mipseg.serving.jobs.routes import make_job_router
from mipseg.serving.jobs.runner import JobRunner
from mipseg.serving.jobs.store import JobStore
from mipseg.serving.limits import BodyLimits
from mipseg.serving.observe import Metrics, Observe, add_metrics
from mipseg.serving.openapi import describe_api
from mipseg.serving.pages import add_pages
from mipseg.serving.prediction_queue import PredictionQueue
from mipseg.serving.problems import ProblemError
from mipseg.serving.routes import Predict, make_router
from mipseg.serving.segment_routes import SEGMENT_PATHS, make_segment_router
from mipseg.settings import Settings
from mipseg.types import Image

WARM_UP_SHAPE = (489, 400, 3)  # the commonest size of the championship's images
WARM_UP_BODY = (slice(60, 430), slice(120, 280))  # rows, columns; without a body no network would run
_log = structlog.get_logger()


class Function(BaseModel):
    """The prediction function; null where it can't be told, or is not loaded."""

    name: str | None
    sha256: str | None = Field(description="of its file")


class Model(BaseModel):
    """The built-in model."""

    name: str
    sha256: str
    runtime: str
    precision: str


class Limits(BaseModel):
    """What is refused beyond these, by the settings of the same names."""

    max_body_bytes: int = Field(description="of an image's file, and of every other body than an upload of a volume")
    max_pixels: int = Field(description="of an image")
    max_upload_bytes: int = Field(description="of the file that `/v1/segment` takes")
    max_files: int = Field(description="in a ZIP archive; no setting")


class About(BaseModel):
    """What runs here."""

    service: Literal["mipseg"] = "mipseg"
    version: str
    uptime_s: float
    predict: Function = Field(description="what answers `/tumor/predict`")
    model: Model | None = Field(description="null until it is in use")
    limits: Limits


def create_app(predict: Predict, segmenter: Segmenter, settings: Settings) -> FastAPI:
    """Build the service around a prediction function.

    Args:
        predict: (H, W, 3) uint8 image -> (H, W, 3) uint8 mask; a team's own, or one around `segmenter`.
        segmenter: the built-in model, for `/tumor/analyze`; it is loaded by the first that uses it.
        settings: limits and deadlines.
    """
    memory.map_large_blocks()
    queue = PredictionQueue(settings.queue_size, settings.deadline_s)
    store = JobStore(settings)
    runner = JobRunner(store, settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        warming_up = asyncio.create_task(warm_up(app, predict))
        runner.start()
        yield
        app.state.ready = False
        warming_up.cancel()
        await run_in_threadpool(runner.stop)

    app = FastAPIOffline(  # /docs without a CDN: nothing leaves the machine, nor its network
        docs_url=None,  # a page of our own, in the style of the others, with these files
        redoc_url=None,
        title="MIPseg",
        version=version("mipseg"),
        description="Tumour segmentation in whole-body MIP-PET images. Research use only, not a medical device.",
        lifespan=lifespan,
    )
    app.state.ready, app.state.started, app.state.queue = False, time.time(), queue
    problems.install(app)
    app.include_router(make_router(predict, segmenter, queue, settings))
    app.include_router(make_segment_router(segmenter, queue, store, runner, settings))
    app.include_router(make_job_router(store, runner, settings))
    _add_health(app)
    _add_api(app, predict, segmenter, settings)
    add_pages(app)
    app.openapi = lambda: describe_api(app)  # type: ignore[method-assign]  # FastAPI's own way to extend the schema
    metrics = Metrics()
    add_metrics(app, metrics)
    app.add_middleware(HeadAsGet)
    app.add_middleware(BodyLimits, settings=settings, left_out=SEGMENT_PATHS)
    if settings.cors_origins:
        origins = [origin.strip() for origin in settings.cors_origins.split(",")]
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Content-Type"],
            expose_headers=["X-Request-ID", "X-Input-Warning", "Location"],
        )
    app.add_middleware(SafeHeaders)
    app.add_middleware(Observe, metrics=metrics)
    problems.add_request_ids(app)
    return app


async def warm_up(app: FastAPI, predict: Predict) -> None:
    """Predict once, which loads what the function needs: the first request is as fast as the others.

    The service is ready if that succeeds, and not ready if it does not.
    """

    def work() -> None:
        image = warm_up_image()
        validate_segmentation(image, predict(image.copy()))

    queue: PredictionQueue = app.state.queue
    try:
        await queue.run(work, has_deadline=False)  # in the queue: never beside a request's prediction
    except Exception as error:
        app.state.ready = False
        _log.error("warm_up_failed", reason=str(error), exc_info=None if isinstance(error, ModelError) else error)
        return
    if not app.state.ready:
        app.state.ready = True
        _log.info("ready", seconds=round(time.time() - app.state.started, 2))


def warm_up_image() -> Image:
    """A body of many shades, as tall as a person's, in air: (H, W, 3) uint8."""
    image = np.full(WARM_UP_SHAPE, 255, np.uint8)
    rows, columns, channels = image[WARM_UP_BODY].shape
    shades = np.add.outer(np.linspace(90, 165, rows), np.linspace(0, 75, columns))  # an even one is no body
    image[WARM_UP_BODY] = np.repeat(shades.astype(np.uint8)[:, :, None], channels, axis=2)
    return image


def _add_health(app: FastAPI) -> None:
    @app.get("/livez", tags=["health"])
    async def livez() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["health"])
    async def readyz() -> JSONResponse:
        """The model is loaded, a warm-up prediction has passed, and predictions end."""
        if not app.state.ready:
            raise ProblemError("not-ready", "the warm-up has not passed", {"Retry-After": "1"})
        app.state.queue.check()
        return JSONResponse({"status": "ready"})


def _add_api(app: FastAPI, predict: Predict, segmenter: Segmenter, settings: Settings) -> None:
    limits = Limits(
        max_body_bytes=settings.max_body_bytes,
        max_pixels=settings.max_pixels,
        max_upload_bytes=settings.max_upload_bytes,
        max_files=MAX_FILES,
    )

    @app.get("/api", tags=["service"])
    async def api() -> About:
        """What runs here: the function that answers, the built-in model if it is in use, and the limits."""
        model = None
        if segmenter.is_loaded:
            runtime, config = segmenter.runtime, segmenter.config
            model = Model(name=config.name, sha256=config.sha256, runtime=runtime.name, precision=runtime.precision)
        # A team's function may change while the service runs; what holds it says which one it is.
        function = Function(**(getattr(predict, "info", None) or describe_function(predict)))
        uptime_s = round(time.time() - app.state.started, 1)
        return About(version=app.version, uptime_s=uptime_s, predict=function, model=model, limits=limits)


def describe_function(predict: Predict) -> dict[str, Any]:
    """The name of a function and the SHA-256 of the file that defines it."""
    file = inspect.getsourcefile(predict) if inspect.isfunction(predict) else None
    name = f"{getattr(predict, '__module__', '')}.{getattr(predict, '__qualname__', type(predict).__qualname__)}"
    sha256 = hashlib.sha256(Path(file).read_bytes()).hexdigest() if file and Path(file).is_file() else None
    return {"name": name, "sha256": sha256}
