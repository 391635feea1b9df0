"""Running an application: uvicorn with deadlines, JSON logs and a clean end."""

import asyncio
import logging
import os
import signal
import sys
from http import HTTPStatus
from types import FrameType
from typing import Any
from uuid import uuid4

import structlog
import uvicorn
from asgi_correlation_id import correlation_id
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mipseg.serving.problems import ProblemError, problem_response

HEADER_DEADLINE_S = 10.0
MAX_HEADER_BYTES = 64 * 1024
SHUTDOWN_S = 12


class DeadlineProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with limits before the application: a deadline and a size for a request's headers.

    uvicorn itself would wait for ever and collect headers of any size. What is not HTTP gets the one shape of errors.
    """

    _headers_due: asyncio.TimerHandle | None = None
    _idle_bytes = 0  # received in a row that neither ended the headers nor belonged to a body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected: its first headers are due."""
        super().connection_made(transport)
        self._expect_headers()

    def data_received(self, data: bytes) -> None:
        """Bytes came; while no request is being answered, they begin the next one."""
        if self._headers_due is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_headers()
        cycle, before = self.cycle, len(self.cycle.body) if self.cycle else 0
        super().data_received(data)
        progress = self.cycle is not cycle or (cycle is not None and len(cycle.body) > before)
        self._idle_bytes = 0 if progress else self._idle_bytes + len(data)
        if self._idle_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
            self._refuse(ProblemError("headers-too-large", "the headers are too large"))

    def on_headers_complete(self) -> None:
        """The headers are here; the body has a deadline of its own."""
        self._cancel()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP; uvicorn would do it in plain text."""
        self._refuse(ProblemError("invalid-http", "the request is not valid HTTP/1.1"))

    def _refuse(self, problem: ProblemError) -> None:
        request_id = uuid4().hex
        response = problem_response(problem, request_id)
        headers = [*response.raw_headers, (b"x-request-id", request_id.encode()), (b"connection", b"close")]
        lines = [b"HTTP/1.1 %d %s" % (problem.status, HTTPStatus(problem.status).phrase.encode())]
        lines += [name + b": " + value for name, value in headers]
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + bytes(response.body))
        self.transport.close()

    def _expect_headers(self) -> None:
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
    """Log on standard error, uvicorn's own lines included: readable in a terminal, else one JSON object per line."""
    terminal = sys.stderr.isatty()
    shared: list[structlog.typing.Processor] = [
        _add_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if terminal else "iso", utc=not terminal),
    ]
    renderer: structlog.typing.Processor
    if terminal:
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    else:
        shared.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, renderer],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=renderer))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.captureWarnings(True)  # Pillow's about damaged files: as one JSON line, not as text


def _exit_cleanly(_: int, __: FrameType | None) -> None:
    # sys.exit() would end the interpreter under a prediction that still runs in native code, which aborts (status -6).
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


def serve(
    factory: str, host: str, port: int, *, app_dir: str, reload_dirs: list[str] | None = None, root_path: str = ""
) -> None:
    """Run an application until it is told to stop; SIGTERM and SIGINT end it with status 0.

    Args:
        factory: `module:function` that builds the application, so that a reload builds it anew.
        host: address to listen on.
        port: TCP port.
        app_dir: folder put first on the import path.
        reload_dirs: restart when a Python file in one of these changes; None: never.
        root_path: what a proxy in front cuts off the path, such as `/mipseg`.
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
        root_path=root_path,
        reload=reload_dirs is not None,
        reload_dirs=reload_dirs,
        http=DeadlineProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
