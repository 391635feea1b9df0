"""The application that both ports serve; more is added to it in the unified API."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import numpy as np
import structlog
from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline

from mipseg.checks import validate_segmentation
from mipseg.model.segmenter import default_segmenter
from mipseg.serving import problems
from mipseg.serving.limits import BodyLimits
from mipseg.serving.observe import Metrics, Observe, add_metrics
from mipseg.serving.prediction_queue import PredictionQueue
from mipseg.serving.problems import ProblemError
from mipseg.serving.routes import Predict, make_router
from mipseg.settings import Settings

WARM_UP_SHAPE = (489, 400, 3)  # the commonest size of the championship's images
REQUEST_ID = re.compile(r"[0-9A-Fa-f-]{32,36}")  # what a client may choose; all else is replaced
_log = structlog.get_logger()


def create_app(predict: Predict, settings: Settings) -> FastAPI:
    """Build the service around a prediction function.

    Args:
        predict: (H, W, 3) uint8 image -> (H, W, 3) uint8 mask.
        settings: limits and deadlines.
    """
    queue = PredictionQueue(settings.queue_size, settings.deadline_s)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        warm_up = asyncio.create_task(_warm_up(app, predict, queue))
        yield
        app.state.ready = False
        warm_up.cancel()

    app = FastAPIOffline(  # /docs without a CDN: nothing leaves the machine, nor its network
        redoc_url=None,
        title="MIPseg",
        version=version("mipseg"),
        description="Tumour segmentation in whole-body MIP-PET images. Research use only, not a medical device.",
        lifespan=lifespan,
    )
    app.state.ready, app.state.started, app.state.queue = False, time.time(), queue
    problems.install(app)
    app.include_router(make_router(predict, queue, settings))
    _add_health(app)
    metrics = Metrics()
    add_metrics(app, metrics)
    app.add_middleware(BodyLimits, settings=settings)
    app.add_middleware(Observe, metrics=metrics)
    app.add_middleware(
        CorrelationIdMiddleware,
        header_name="X-Request-ID",
        validator=lambda text: REQUEST_ID.fullmatch(text) is not None,
    )
    return app


async def _warm_up(app: FastAPI, predict: Predict, queue: PredictionQueue) -> None:
    """Load the model and predict once, so that the first request is as fast as the others; ready only then."""

    def work() -> None:
        default_segmenter()
        image = np.full(WARM_UP_SHAPE, 255, np.uint8)
        validate_segmentation(image, predict(image.copy()))

    try:
        await queue.run(work, for_ever=True)  # in the queue: never beside a request's prediction
    except Exception:
        _log.exception("warm_up_failed")
        return
    app.state.ready = True
    _log.info("ready", seconds=round(time.time() - app.state.started, 2))


def _add_health(app: FastAPI) -> None:
    @app.get("/livez", tags=["health"])
    async def livez() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["health"])
    async def readyz() -> JSONResponse:
        """The model is loaded and a warm-up prediction has passed."""
        if not app.state.ready:
            raise ProblemError(503, "not-ready", "the warm-up has not passed", {"Retry-After": "1"})
        return JSONResponse({"status": "ready"})

    @app.get("/api", tags=["service"])
    async def api() -> JSONResponse:
        """What runs here."""
        content = {"service": "mipseg", "version": app.version, "uptime_s": round(time.time() - app.state.started, 1)}
        if app.state.ready:
            config = default_segmenter().config
            content["model"] = {"name": config.name, "sha256": config.sha256}
        else:
            content["model"] = None
        return JSONResponse(content)
