"""`mipseg info`: what an input is, before anyone trusts a number."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from mipseg.cli.options import DoseOption, JsonOption, SeriesOption, UnitOption, WeightOption, stop_on_errors


def info(
    path: Annotated[
        Path, typer.Argument(metavar="INPUT", help="PNG, JPEG, NIfTI, MHA, NRRD, DICOM, ZIP, or a folder.")
    ],
    *,
    series: SeriesOption = None,
    unit: UnitOption = None,
    weight: WeightOption = None,
    dose: DoseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what an input is: kind, maker, size, orientation, tracer, and whether it has SUV and why not.

    Exit code 1: it can't be read without guessing.
    """
    with stop_on_errors(1, "read", path):
        from mipseg.io.describe import describe_input  # noqa: PLC0415 # an extra

        found = asdict(describe_input(path, series=series, unit=unit, weight_kg=weight, dose_bq=dose))
    typer.echo(json.dumps(found, indent=2, allow_nan=False) if as_json else "\n".join(_lines(found)))


def _lines(found: dict[str, Any]) -> list[str]:
    """What is known, one line each; the reason for a missing SUV is never left out."""
    suv, warnings = found.pop("suv"), found.pop("warnings")
    lines = [f"{name}: {_plain(value)}" for name, value in found.items() if value is not None]
    if suv["available"]:
        numbers = ", ".join(f"{name} {suv[name]:.4g}" for name in ("min", "median", "max") if suv[name] is not None)
        lines.append(f"suv: {numbers}")
    else:
        lines.append(f"suv: none ({suv['reason']})")
    return lines + [f"warning: {warning}" for warning in warnings]


def _plain(value: Any) -> str:
    if isinstance(value, tuple | list):
        return " x ".join(f"{side:g}" for side in value)
    return str(value)
