"""The unified API: the tasks under their names, the judge, and a first page."""

from importlib import import_module
from pathlib import Path

import structlog
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from mipseg.model.segmenter import Segmenter, load_segmenter
from mipseg.pipeline import segment_image
from mipseg.serving.app import create_app
from mipseg.serving.routes import Predict
from mipseg.serving.serve import configure_logging
from mipseg.settings import Settings
from mipserve.judge import add_judge
from mipserve.settings import ServiceSettings

INDEX = Path(__file__).parent / "static/index.html"
_log = structlog.get_logger()


def load_predict(task_dir: Path, segmenter: Segmenter) -> Predict:
    """The `predict` of the user's example.py; where there is none, the built-in model.

    Args:
        task_dir: folder of example.py; must be on the import path.
        segmenter: the built-in model.
    """
    if (task_dir / "example.py").is_file():
        module = import_module("example")
        _log.info("serving", predict=module.__file__)
        predict: Predict = module.predict
        return predict
    _log.info("serving", predict="built-in model")
    return lambda image: segment_image(image, segmenter)


def make_app() -> FastAPI:
    """Build the service from its settings."""
    configure_logging()  # with hot reload this is a process of its own, which has not done so yet
    service = ServiceSettings()
    settings = Settings()
    segmenter = load_segmenter(settings)
    app = create_app(load_predict(service.task_dir, segmenter), segmenter, settings)
    add_judge(app, service.host, service.port)
    page = INDEX.read_text("utf-8")

    @app.get("/", include_in_schema=False)
    async def index() -> HTMLResponse:
        return HTMLResponse(page)

    return app
