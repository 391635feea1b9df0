"""`mipseg segment`: inputs to masks and measurements."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, get_args

import typer
from pydantic import ValidationError

from mipseg.cli.options import DoseOption, SeriesOption, UnitOption, WeightOption, now, stop
from mipseg.cli.progress import progress_bar
from mipseg.cli.run_report import run_report
from mipseg.engines.cases import Case, find_cases
from mipseg.engines.job import DEFAULT_FORMATS, FORMATS, Format, Job, Options, Outcome, provenance
from mipseg.engines.local import run_cases
from mipseg.engines.segment_case import done_before, failed, segment_case
from mipseg.engines.table import write_table
from mipseg.errors import MipsegError
from mipseg.growing import Rule
from mipseg.io.write import write_json
from mipseg.model.cores import usable_cores
from mipseg.settings import Settings, describe

LOST = "the process that worked on it died; it may have run out of memory"


def _formats(text: str) -> tuple[Format, ...]:
    wanted = {name.strip() for name in text.split(",") if name.strip()}
    if unknown := sorted(wanted - set(FORMATS)):
        raise typer.BadParameter(f"{', '.join(unknown)}: must be of {', '.join(FORMATS)}")
    return tuple(name for name in FORMATS if name in wanted)


def segment(  # noqa: PLR0913 # the options of a command
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="INPUT...", help="PNG, JPEG, NIfTI, MHA, NRRD, DICOM, ZIP, or folders of them."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="Folder for the results, OUT/<case>/.")],
    *,
    formats: Annotated[str, typer.Option(help=f"Files to write, of {','.join(FORMATS)}.")] = ",".join(DEFAULT_FORMATS),
    window: Annotated[
        float | None, typer.Option(metavar="TOP", min=1e-6, help="Value shown as the hottest; default: SUV 6.")
    ] = None,
    grow: Annotated[
        str, typer.Option(metavar="RULE", help=f"How lesions grow to 3-D: {' | '.join(get_args(Rule))}.")
    ] = "41%max",
    series: SeriesOption = None,
    unit: UnitOption = None,
    weight: WeightOption = None,
    dose: DoseOption = None,
    jobs: Annotated[int, typer.Option(min=0, help="Cases in work at once; 0: one for each core.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Do again what is done.")] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what was done, with what, into a JSON file.")
    ] = None,
) -> None:
    """Find tumours in images and volumes, and measure them.

    Prints one JSON object a case. Exit code 0: all done; 1: some cases failed; 2: wrong use.
    """
    if grow not in get_args(Rule):
        raise typer.BadParameter(f"{grow!r}: must be of {', '.join(get_args(Rule))}", param_hint="--grow")
    rule: Rule = grow  # type: ignore[assignment] # checked above
    options = Options(_formats(formats), window, rule, series, unit, weight, dose)
    job = _prepare(out, options, force=force)
    started = time.perf_counter()
    outcomes = _run(find_cases(inputs, out), job, jobs)
    ended = [outcome for outcome in outcomes if outcome.status != "failed"]
    try:
        write_table(out, [outcome.case for outcome in ended])
        if report is not None:
            write_json(report, run_report(job, outcomes, time.perf_counter() - started))
    except OSError as error:
        stop(f"can't write {error.filename}: {error.strerror}", 1)
    if len(ended) < len(outcomes):
        stop(f"{len(outcomes) - len(ended)} of {len(outcomes)} cases failed", 1)


def _prepare(out: Path, options: Options, *, force: bool) -> Job:
    """Check what all cases need before the first."""
    try:
        settings = Settings()
        made_by = provenance(settings)
        out.mkdir(parents=True, exist_ok=True)
    except ValidationError as error:
        stop(describe(error), 2)
    except MipsegError as error:
        stop(str(error), 2)
    except OSError as error:
        stop(f"can't make the output folder {out}: {error.strerror}", 2)
    return Job(out, settings, options, made_by, now(), force)


def _run(cases: Sequence[Case], job: Job, jobs: int) -> list[Outcome]:
    """Work off the cases; each outcome is told as it comes."""
    skipped = [outcome for case in cases if (outcome := done_before(case, job)) is not None]
    names = {outcome.case for outcome in skipped}
    left = [case for case in cases if case.name not in names]
    cores = job.settings.threads or usable_cores()
    processes = min(jobs or cores, max(1, len(left)))
    shared = replace(job, settings=job.settings.model_copy(update={"threads": max(1, cores // processes)}))
    work = partial(segment_case, job=shared)
    outcomes = []
    with progress_bar("segmenting", len(cases)) as advance:
        for outcome in chain(skipped, run_cases(work, left, processes, partial(failed, problem=LOST))):
            outcomes.append(outcome)
            advance()
            typer.echo(json.dumps(asdict(outcome)))
            if outcome.status == "failed":
                typer.echo(f"failed: {outcome.case}: {outcome.error}", err=True)
    return sorted(outcomes, key=lambda outcome: outcome.case)
