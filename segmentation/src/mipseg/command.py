"""How commands end where the fault is the caller's: with one line, never with a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from mipseg.errors import MipsegError
from mipseg.settings import describe

# What may be missing after a plain `pip install mipseg`, and the extra that brings it.
EXTRAS = {
    "serve": (
        "asgi_correlation_id",
        "fastapi",
        "fastapi_offline",
        "httptools",
        "prometheus_client",
        "structlog",
        "uvicorn",
    ),
    "judge": ("httpx",),
    "plot": ("matplotlib",),
    "report": ("jinja2", "weasyprint"),
    "train": ("onnx", "onnxscript", "sklearn", "tensorboard", "torch"),
}


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """End the program with one line on standard error where settings (status 2), data or an extra (1) are at fault.

    What else is raised is a bug, here or in a team's own code, and keeps its traceback.
    """
    try:
        yield
    except ValidationError as error:
        sys.stderr.write(f"error: {describe(error)}\n")
        sys.exit(2)
    except MipsegError as error:
        sys.exit(f"error: {error}")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        extra = next((extra for extra, modules in EXTRAS.items() if missing in modules), None)
        if extra is None:
            raise
        sys.exit(f"error: {missing} is missing; `pip install 'mipseg[{extra}]'` brings it, in the project `uv sync`")
