"""One log line and one count for each request: method, route, status, seconds; nothing that was sent."""

import time
from http import HTTPMethod

import structlog
from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mipseg.constants import REPLY_DEADLINE_S

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, REPLY_DEADLINE_S)  # seconds
METHODS = {method.value for method in HTTPMethod}  # all others are what a stranger wrote
_log = structlog.get_logger()


class Metrics:
    """The service's Prometheus metrics, one registry per application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ["method", "route", "status"]
        self.requests = Counter("mipseg_requests", "Answered requests", labels, registry=self.registry)
        self.seconds = Histogram(
            "mipseg_request_seconds", "Time to answer", ["route"], buckets=BUCKETS, registry=self.registry
        )
        self.queue = Gauge("mipseg_predictions_inside", "Predictions running or waiting", registry=self.registry)
        self.abandoned = Gauge(
            "mipseg_predictions_abandoned", "Predictions given up that still run", registry=self.registry
        )
        self.ready = Gauge("mipseg_ready", "1 after the warm-up prediction", registry=self.registry)


class Observe:
    """ASGI middleware that logs and counts.

    Args:
        app: the application behind it.
        metrics: where to count.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the class."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            status = status or 500  # which is answered outside of every middleware
            raise
        finally:
            # The route's pattern, never the path that was sent: nothing from outside gets into logs and labels.
            route = getattr(scope.get("route"), "path", "unknown")
            method = scope["method"] if scope["method"] in METHODS else "other"
            seconds = time.perf_counter() - started
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            if route not in ("/livez", "/readyz", "/metrics"):
                _log.info("request", method=method, route=route, status=status, seconds=round(seconds, 4))


def add_metrics(app: FastAPI, metrics: Metrics) -> None:
    """Serve the metrics at `/metrics`."""

    @app.get("/metrics", tags=["health"])
    async def metrics_route() -> Response:
        """Counters in Prometheus' text format."""
        metrics.queue.set(app.state.queue.inside)
        metrics.abandoned.set(app.state.queue.abandoned)
        metrics.ready.set(int(app.state.ready))
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)
