"""Options that several verbs share, and what they all do with errors."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from mipseg.command import extra_of, package_of
from mipseg.errors import MipsegError
from mipseg.suv.factor import MIN_DOSE_BQ, MIN_WEIGHT_KG

Unit = Literal["suv", "bqml"]
Engine = Literal["local", "ray"]

SeriesOption = Annotated[str | None, typer.Option(metavar="UID", help="The DICOM series, where there are several.")]
UnitOption = Annotated[Unit | None, typer.Option(help="Unit of NIfTI, MHA and NRRD files, which do not say it.")]
WeightOption = Annotated[float | None, typer.Option(metavar="KG", min=MIN_WEIGHT_KG, help="Body weight, for SUV.")]
DoseOption = Annotated[float | None, typer.Option(metavar="BQ", min=MIN_DOSE_BQ, help="Injected activity, for SUV.")]
EngineOption = Annotated[Engine, typer.Option(help="Who works: the processes of this machine, or a Ray cluster.")]
AddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", help="The Ray cluster's head, or auto on one of its nodes; default: a new one here."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def stop(message: str, code: int) -> NoReturn:
    """Say on standard error what is wrong and end: code 1 for an input that can't be used, 2 for wrong use."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code)


@contextmanager
def stop_on_errors(code: int, action: str, file: Path) -> Iterator[None]:
    """End the command with one line where an input, a missing package or the file system is at fault.

    Args:
        code: exit code.
        action: what can't be done where the file system says no: read or write.
        file: what it can't be done with, unless the system names it.
    """
    try:
        yield
    except MipsegError as error:
        stop(str(error), code)
    except ModuleNotFoundError as error:
        stop(f"the package {package_of(error)} is missing: pip install 'mipseg[{extra_of(error)}]'", code)
    except OSError as error:
        stop(f"can't {action} {error.filename or file}: {error.strerror}", code)


def now() -> datetime:
    """The time that results are dated with; SOURCE_DATE_EPOCH sets it for files that shall be alike byte for byte."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now().astimezone()
