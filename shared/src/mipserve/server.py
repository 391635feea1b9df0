"""`uv run api`: free the port, then serve, and restart when code changes."""

import argparse
from pathlib import Path

import mipseg
from mipseg.http.serve import configure_logging, serve

import mipserve
from mipserve.ports import PortError, free_port
from mipserve.settings import ServiceSettings


def main() -> None:
    """Command line."""
    settings = ServiceSettings()
    parser = argparse.ArgumentParser(prog="api", description="Serve the unified MIPseg API.")
    parser.add_argument("--host", default=settings.host, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=settings.port, help="port (default: %(default)s)")
    parser.add_argument("--no-reload", action="store_true", help="do not restart when code changes")
    parser.add_argument("--keep", action="store_true", help="do not end a process that holds the port")
    arguments = parser.parse_args()
    configure_logging()
    try:
        free_port(arguments.host, arguments.port, keep=arguments.keep or settings.keep)
    except PortError as error:
        parser.exit(1, f"error: {error}\n")
    packages = [str(Path(str(package.__file__)).parent) for package in (mipseg, mipserve)]
    watched = [str(settings.task_dir), *packages] if settings.reload and not arguments.no_reload else None
    serve("mipserve.app:make_app", arguments.host, arguments.port, app_dir=str(settings.task_dir), reload_dirs=watched)


if __name__ == "__main__":
    main()
