"""This one task alone: `uv run python api.py` serves `predict` of example.py, and so does `uvicorn api:app`."""

import argparse
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mipseg.command import errors_in_one_line
from mipseg.settings import KitSettings, Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

HOST = "127.0.0.1"  # 0.0.0.0 lets other machines in
PORT = 9051


@cache
def make_app() -> "FastAPI":
    """The service around `example.predict`."""
    import example  # noqa: PLC0415  # what is needed to serve is imported by who serves
    from mipseg.model.segmenter import load_segmenter  # noqa: PLC0415
    from mipseg.serving.app import create_app  # noqa: PLC0415
    from mipseg.serving.pages import STATIC, add_file  # noqa: PLC0415
    from mipseg.serving.serve import configure_logging  # noqa: PLC0415

    configure_logging()
    settings = Settings()
    app = create_app(example.predict, load_segmenter(settings), settings)
    add_file(app, "/", STATIC / "endpoint.html")
    return app


def __getattr__(name: str) -> "FastAPI":
    """`app`, as earlier starter kits have it; it is built by the first who asks."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return make_app()


def main() -> None:
    """Command line."""
    given = KitSettings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=given.host or HOST, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=given.port or PORT, help="TCP port (default: %(default)s)")
    parser.add_argument("--root-path", default="", help="what a proxy in front cuts off the path, such as /mipseg")
    arguments = parser.parse_args()
    Settings()  # what is wrong is said before anything starts
    from mipseg.serving.serve import serve  # noqa: PLC0415  # may be missing, which is told in one line

    folder = str(Path(__file__).parent)
    serve("api:make_app", arguments.host, arguments.port, app_dir=folder, root_path=arguments.root_path)


if __name__ == "__main__":
    with errors_in_one_line():
        main()
