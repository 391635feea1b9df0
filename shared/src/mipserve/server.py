"""`uv run api`: free the port, then serve, and restart when code changes."""

import argparse
import logging
import os
from pathlib import Path

from pydantic import ValidationError

import mipjudge
import mipseg
import mipserve
from mipseg.serving.serve import configure_logging, serve
from mipseg.settings import describe
from mipserve.ports import PortError, free_port
from mipserve.settings import ServiceSettings


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="api",
        description="Serve the unified MIPseg API.",
        epilog="Each option can also be set as MIPSEG_API_HOST, _PORT, _RELOAD, _KEEP.",
        argument_default=argparse.SUPPRESS,  # what is not given is left to the settings
    )
    on_off = argparse.BooleanOptionalAction
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", help="TCP port (default: 8000)")
    parser.add_argument("--reload", action=on_off, help="restart when code changes (default: yes)")
    parser.add_argument("--keep", action=on_off, help="never end a process that holds the port (default: no)")
    try:
        settings = ServiceSettings(**vars(parser.parse_args()))
    except ValidationError as error:
        parser.error(describe(error))
    configure_logging()
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it reports every file, even a log in the folder
    try:
        free_port(settings.host, settings.port, keep=settings.keep)
    except PortError as error:
        parser.exit(1, f"error: {error}\n")
    task_dir = settings.task_dir.resolve()
    packages = [Path(str(package.__file__)).parent for package in (mipseg, mipjudge, mipserve)]
    watched = [str(folder) for folder in (task_dir, *packages) if folder.is_dir()]
    # The application is built in another process with hot reload; it must not take itself for local when it is not.
    os.environ.update(MIPSEG_API_HOST=settings.host, MIPSEG_API_PORT=str(settings.port))
    serve(
        "mipserve.app:make_app",
        settings.host,
        settings.port,
        app_dir=str(task_dir),
        reload_dirs=watched if settings.reload else None,
    )


if __name__ == "__main__":
    main()
