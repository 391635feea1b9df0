"""The unified API: the tasks under their names, and a first page."""

from importlib import import_module
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from mipseg.http.app import create_app
from mipseg.http.routes import Predict
from mipseg.segmenter import default_segmenter
from mipseg.settings import Settings

from mipserve.settings import ServiceSettings

INDEX = Path(__file__).parent / "static/index.html"


def load_predict(task_dir: Path) -> Predict:
    """The `predict` of the user's example.py; where there is none, the built-in model.

    Args:
        task_dir: folder of example.py; must be on the import path.
    """
    if (task_dir / "example.py").is_file():
        predict: Predict = import_module("example").predict
        return predict
    return lambda image: default_segmenter().segment(image)


def make_app() -> FastAPI:
    """Build the service from its settings."""
    app = create_app(load_predict(ServiceSettings().task_dir), Settings())
    page = INDEX.read_text()

    @app.get("/", include_in_schema=False)
    async def index() -> HTMLResponse:
        return HTMLResponse(page)

    return app
