"""Running an application: uvicorn with deadlines, JSON logs and a clean end."""

import asyncio
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from types import FrameType
from typing import Any

import structlog
import uvicorn
from asgi_correlation_id import correlation_id
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import ChangeReload

from mipseg.serving.protocol import DeadlineProtocol

SHUTDOWN_S = 12


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


class GentleServer(uvicorn.Server):
    """A server that answers whoever had connected before it stopped.

    uvicorn closes its socket at once, which resets connections that the system has made and it has not yet taken.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take what still waits at the sockets, then stop; sockets of a supervisor stay open for its next process."""
        if sockets is None:
            await self._take_waiting()
        await super().shutdown(sockets)

    async def _take_waiting(self) -> None:
        loop, taken = asyncio.get_running_loop(), []
        copies = [socket.socket(fileno=os.dup(s.fileno())) for server in self.servers for s in server.sockets]
        for server in self.servers:
            server.close()  # the copies keep the system's queues until they are closed as well
        for copy in copies:
            with copy, suppress(OSError):
                copy.setblocking(False)
                while True:
                    taken.append(copy.accept()[0])
        for connection in taken:
            await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> DeadlineProtocol:
        return DeadlineProtocol(self.config, self.server_state, self.lifespan.state)


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
    sys.path.insert(0, app_dir)
    config = uvicorn.Config(
        factory,
        factory=True,
        host=host,
        port=port,
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
    server = GentleServer(config)
    if config.should_reload:
        ChangeReload(config, target=server.run, sockets=[config.bind_socket()]).run()
        return
    config.load_app()  # here, so that an application that can't be built ends the program with its own error
    server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)
