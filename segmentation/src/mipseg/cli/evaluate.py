"""`mipseg evaluate`: how good masks are."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from mipseg.cli.options import JsonOption, stop
from mipseg.engines.evaluate_masks import Evaluation, evaluate_masks
from mipseg.errors import MipsegError


def evaluate(
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE", help="A PNG or NIfTI mask, or a folder of them.")],
    prediction: Annotated[Path, typer.Argument(metavar="PREDICTION", help="The same, or the results of segment.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Compare masks with their references: Dice with its interval, lesions by size, clean controls.

    Exit code 1: some cases could not be compared; 2: none could.
    """
    try:
        found = evaluate_masks(reference, prediction)
    except MipsegError as error:
        stop(str(error), 2)
    except ModuleNotFoundError as error:
        stop(f"the package {error.name} is missing: pip install 'mipseg[volume]'", 2)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2, allow_nan=False))
    else:
        _show(found)
    for name, reason in found.failed.items():
        typer.echo(f"failed: {name}: {reason}", err=True)
    if found.failed:
        stop(f"{len(found.failed)} of {len(found.failed) + len(found.scores)} cases failed", 1)


def _show(found: Evaluation) -> None:
    dice, console = found.dice, Console()
    if dice.mean is None:
        typer.echo("Dice: none (no reference has tumour)")
    else:
        between = "" if dice.low is None else f" (95 % interval {dice.low:.3f} to {dice.high:.3f})"
        typer.echo(f"Dice: {dice.mean:.4f}{between}, {dice.cases} cases")
    typer.echo(f"clean controls: {found.clean_controls} of {found.controls}")
    table = Table("lesion size", "in reference", "found", "in prediction", "true")
    for row in found.lesions:
        table.add_row(row.size, *(str(count) for count in (row.reference, row.found, row.prediction, row.true)))
    console.print(table)
