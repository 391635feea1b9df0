"""`mipseg evaluate`: how good masks are, of a folder or of an endpoint."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from mipseg.cli.options import JsonOption, now, stop, stop_on_errors
from mipseg.cli.progress import progress_bar
from mipseg.constants import REPLY_DEADLINE_S
from mipseg.engines.evaluate_masks import score_endpoint, score_files
from mipseg.engines.mask_files import Reference, find_references
from mipseg.evaluation.scoring import Scores
from mipseg.evaluation.summary import Comparison, Evaluation, Interval, compare_cases
from mipseg.evaluation.summary import evaluate as put_together
from mipseg.io.write import write_text
from mipseg.metrics import CLEAN


def evaluate(  # noqa: PLR0913 # the options of a command
    reference: Annotated[
        Path,
        typer.Argument(metavar="REFERENCE", help="A PNG or NIfTI mask, a folder of them, or the data set's folder."),
    ],
    prediction: Annotated[
        Path | None, typer.Argument(metavar="[PREDICTION]", help="The same, or the results of segment.")
    ] = None,
    *,
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="Ask an endpoint for the masks (POST /predict), image by image.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The images, to send and to show; the data set has its own.")
    ] = None,
    compare: Annotated[
        str | None, typer.Option(metavar="OTHER", help="Another PREDICTION, or an endpoint's URL, to compare with.")
    ] = None,
    timings: Annotated[bool, typer.Option("--timings", help="Say how long the endpoint took.")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with pictures of the worst cases.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare masks with their references: Dice with its interval, lesions by size, clean controls.

    Masks are PNG or NIfTI with 0, and one value above it where there is tumour.

    Exit code 1: some cases could not be compared; 2: none could.
    """
    if (prediction is None) == (endpoint is None):
        stop("give either a PREDICTION or --endpoint URL", 2)
    if timings and endpoint is None:
        stop("--timings goes with --endpoint", 2)
    with stop_on_errors(2, "write", html or reference):
        references = find_references(reference, images)
        scores = _score(references, str(prediction or endpoint))
        _name_failed(scores.failed, "failed")
        if not scores.cases:
            stop(f"none of {len(references)} cases could be compared", 2)
        other = None if compare is None else _score(references, compare)
        found = put_together(scores)
        comparison = None if other is None else compare_cases(scores, other)
        failed = scores.failed
        if comparison is not None:
            _name_failed(comparison.failed, "failed in the other")
            failed = {**failed, **comparison.failed}
        if html is not None:
            _write_page(html, scores, found, other, comparison)
    if as_json:
        typer.echo(json.dumps(_plain(found, comparison), indent=2, allow_nan=False))
    else:
        _show(found, comparison, timings=timings)
    if failed:
        stop(f"{len(failed)} of {len(references)} cases failed", 1)


def _score(references: Sequence[Reference], source: str) -> Scores:
    if not source.startswith(("http://", "https://")):
        return score_files(references, Path(source))
    with progress_bar("asking", len(references)) as advance:
        return score_endpoint(references, source, advance)


def _write_page(
    file: Path, scores: Scores, found: Evaluation, other: Scores | None, comparison: Comparison | None
) -> None:
    from mipseg.report.evaluation import evaluation_page  # noqa: PLC0415 # an extra

    write_text(file, evaluation_page(scores, found, now(), other, comparison))


def _plain(found: Evaluation, comparison: Comparison | None) -> dict[str, Any]:
    calibration = [group._asdict() for group in found.calibration]
    return {
        **asdict(found),
        "calibration": calibration,
        "comparison": None if comparison is None else asdict(comparison),
    }


def _name_failed(failed: Mapping[str, str], words: str) -> None:
    for name, reason in failed.items():
        typer.echo(f"{words}: {name}: {reason}", err=True)


def _show(found: Evaluation, comparison: Comparison | None, *, timings: bool) -> None:
    if found.dice.mean is None:
        typer.echo("Dice: none (no case that was compared has tumour)")
    else:
        typer.echo(f"Dice: {found.dice.mean:.4f}{_between(found.dice)}, {found.dice.cases} cases")
    if found.controls:
        counts = f"{found.clean_controls} of {found.controls}, with an empty mask: {found.empty_controls}"
        typer.echo(f"clean controls ({CLEAN}): {counts}")
    if timings and found.timings is not None:
        times = found.timings
        typer.echo(
            f"seconds per image: median {times.p50_s:.2f}, 95 % within {times.p95_s:.2f}, slowest {times.max_s:.2f}, "
            f"{times.late} of {times.images} over {REPLY_DEADLINE_S:g} s"
        )
    if comparison is not None:
        _show_comparison(comparison)
    table = Table("lesion size", "in reference", "found", "in prediction", "true")
    for row in found.lesions:
        table.add_row(row.size, *(str(count) for count in (row.reference, row.found, row.prediction, row.true)))
    Console().print(table)


def _show_comparison(comparison: Comparison) -> None:
    difference = comparison.difference
    mean = "none" if difference.mean is None else f"{difference.mean:+.4f}{_between(difference, '+')}"
    typer.echo(f"Dice minus the other's: {mean}, {difference.cases} cases")
    typer.echo(f"better: {comparison.wins}, worse: {comparison.losses}, the same: {comparison.ties}")
    if comparison.controls:
        counts = f"{comparison.clean}, the other's: {comparison.clean_other}, of {comparison.controls}"
        typer.echo(f"clean controls ({CLEAN}): {counts}")


def _between(found: Interval, sign: str = "") -> str:
    return "" if found.low is None else f" (95 % interval {found.low:{sign}.3f} to {found.high:{sign}.3f})"
