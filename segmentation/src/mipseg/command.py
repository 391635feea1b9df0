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
    "ray": ("ray",),
    "report": ("jinja2", "weasyprint"),
    "train": ("onnx", "onnxscript", "sklearn", "tensorboard", "torch"),
    "volume": ("gdcm", "highdicom", "nibabel", "pydicom"),
}


def package_of(error: ModuleNotFoundError) -> str:
    """The package that is missing; the error may name a module in it."""
    return (error.name or "").partition(".")[0]


def extra_of(error: ModuleNotFoundError) -> str:
    """The extra that brings what is missing.

    Raises:
        ModuleNotFoundError: the same, if no extra does: a bug.
    """
    missing = package_of(error)
    for extra, modules in EXTRAS.items():
        if missing in modules:
            return extra
    raise error


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
        advice = f"`pip install 'mipseg[{extra_of(error)}]'` brings it, in the project `uv sync`"
        sys.exit(f"error: {package_of(error)} is missing; {advice}")
