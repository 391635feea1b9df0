"""The unified API: the tasks under their names, the judge, and the viewer."""

from concurrent.futures import wait

from fastapi import FastAPI

from mipseg.model.segmenter import load_segmenter
from mipseg.pipeline import segment_image
from mipseg.serving.app import create_app
from mipseg.serving.serve import configure_logging
from mipseg.settings import Settings
from mipserve.judge import add_judge
from mipserve.settings import ServiceSettings
from mipserve.user_code import FIRST_LOAD_S, UserCode, add_user_code
from mipserve.viewer import add_viewer


def make_app() -> FastAPI:
    """Build the service from its settings."""
    configure_logging()  # with hot reload this is a process of its own, which has not done so yet
    service, settings = ServiceSettings(), Settings()
    segmenter = load_segmenter(settings)
    code = UserCode(service.task_dir, lambda image: segment_image(image, segmenter))
    wait([code.load()], FIRST_LOAD_S)
    app = create_app(code, segmenter, settings)
    add_user_code(app, code, follow=service.reload)
    add_judge(app, service.host, service.port)
    add_viewer(app)
    return app
