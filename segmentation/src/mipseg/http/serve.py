"""Running an application: uvicorn with deadlines, JSON logs and a clean end."""

import asyncio
import logging
import signal
import sys
from types import FrameType
from typing import Any

import structlog
import uvicorn
from asgi_correlation_id import correlation_id
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_DEADLINE_S = 10.0
SHUTDOWN_S = 12


class DeadlineProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with a deadline for a request's headers; uvicorn itself would wait for ever."""

    _headers_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected: its first headers are due."""
        super().connection_made(transport)
        self._expect_headers()

    def on_message_begin(self) -> None:
        """A further request begins on the same connection."""
        super().on_message_begin()
        self._expect_headers()

    def on_headers_complete(self) -> None:
        """The headers are here; the body has a deadline of its own."""
        self._cancel()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._cancel()
        super().connection_lost(exc)

    def _expect_headers(self) -> None:
        self._cancel()
        self._headers_due = self.loop.call_later(HEADER_DEADLINE_S, self.transport.close)

    def _cancel(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None


def _add_request_id(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if request_id := correlation_id.get():
        event["request_id"] = request_id
    return event


def configure_logging() -> None:
    """Log one JSON object per line on standard error, uvicorn's own lines included."""
    shared: list[structlog.typing.Processor] = [
        _add_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processor=structlog.processors.JSONRenderer()
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)


def _exit_cleanly(_: int, __: FrameType | None) -> None:
    sys.exit(0)


def serve(factory: str, host: str, port: int, *, app_dir: str, reload_dirs: list[str] | None = None) -> None:
    """Run an application until it is told to stop; SIGTERM and SIGINT end it with status 0.

    Args:
        factory: `module:function` that builds the application, so that a reload builds it anew.
        host: address to listen on.
        port: TCP port.
        app_dir: folder put first on the import path.
        reload_dirs: restart when a Python file in one of these changes; None: never.
    """
    configure_logging()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit_cleanly)  # uvicorn raises the signal again when it has shut down
    uvicorn.run(
        factory,
        factory=True,
        host=host,
        port=port,
        app_dir=app_dir,
        reload=reload_dirs is not None,
        reload_dirs=reload_dirs,
        http=DeadlineProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
