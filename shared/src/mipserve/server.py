"""`uv run api`: free the port, then serve."""

import argparse
import logging
import os
import sys
from pathlib import Path

import mipjudge
import mipseg
import mipserve
from mipseg.command import errors_in_one_line
from mipseg.constants import PORT
from mipseg.io.dataset import installed_dataset
from mipseg.serving.serve import configure_logging, serve
from mipseg.settings import Settings
from mipserve.ports import PortError, free_port
from mipserve.settings import INSTALLED, ServiceSettings


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="api",
        description="Serve the unified MIPseg API.",
        epilog="Each option can also be set as MIPSEG_API_HOST, _PORT, _ROOT_PATH, _RELOAD, _KEEP, _FORCE.",
        argument_default=argparse.SUPPRESS,  # what is not given is left to the settings
    )
    on_off = argparse.BooleanOptionalAction
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", help=f"TCP port (default: {PORT})")
    parser.add_argument("--root-path", help="what a proxy in front cuts off the path, such as /mipseg")
    parser.add_argument("--reload", action=on_off, help="follow changes of example.py and of the code (default: yes)")
    ending = parser.add_mutually_exclusive_group()
    ending.add_argument("--keep", action=on_off, help="never end a process that holds the port (default: no)")
    ending.add_argument("--force", action=on_off, help="end any program of yours that holds the port (default: no)")
    with errors_in_one_line():
        _serve(ServiceSettings(**vars(parser.parse_args())))


def _serve(settings: ServiceSettings) -> None:
    # Whatever is wrong is said now: the application is built in another process.
    general = Settings()
    found = installed_dataset(general)
    configure_logging()
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it reports every file, even a log in the folder
    try:
        free_port(settings.host, settings.port, keep=settings.keep, force=settings.force)
    except PortError as error:
        sys.exit(f"error: {error}")
    if found and "data_dir" in general.model_fields_set:
        os.environ["MIPSEG_DATA_DIR"] = str(found.resolve())  # which may lie below what was given
    # The application must not take itself for local when it is not.
    os.environ.update(
        MIPSEG_API_HOST=settings.host,
        MIPSEG_API_PORT=str(settings.port),
        MIPSEG_API_RELOAD=str(settings.reload),
        MIPSEG_API_TASK_DIR=str(settings.task_dir.resolve()),
    )
    if settings.root_path:  # nor the judge in it, behind a proxy
        os.environ["MIPSEG_JUDGE_LOCAL"] = "0"
    serve(
        "mipserve.app:make_app",
        settings.host,
        settings.port,
        app_dir=str(settings.task_dir.resolve()),
        reload_dirs=_editable_packages() if settings.reload else None,
        root_path=settings.root_path,
    )


def _editable_packages() -> list[str] | None:
    """The folders of the service's own code, where it is a checkout; installed code does not change."""
    folders = [Path(str(package.__file__)).parent for package in (mipseg, mipjudge, mipserve)]
    return [str(folder) for folder in folders if not INSTALLED & set(folder.parts)] or None


if __name__ == "__main__":
    main()
