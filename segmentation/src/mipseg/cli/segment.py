"""`mipseg segment`: inputs to masks and measurements."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, TextIO, TypeAlias, get_args

import typer
from pydantic import ValidationError

from mipseg.cli.options import (
    AddressOption,
    DoseOption,
    Engine,
    EngineOption,
    SeriesOption,
    UnitOption,
    WeightOption,
    now,
    stop,
)
from mipseg.cli.progress import progress_bar
from mipseg.cli.run_report import run_report
from mipseg.engines.cases import Case, find_cases
from mipseg.engines.local import run_cases
from mipseg.engines.plan import DEFAULT_FORMATS, FORMATS, Format, Options, Outcome, Plan, provenance
from mipseg.engines.ray_cluster import segmenting_cluster
from mipseg.engines.segment_case import done_before, failed, segment_case
from mipseg.engines.table import check_table, write_table
from mipseg.errors import MipsegError
from mipseg.growing import DEFAULT_RULE, Rule
from mipseg.io.write import write_json
from mipseg.model.cores import usable_cores
from mipseg.projection import MIN_WINDOW
from mipseg.settings import Settings, describe

Run: TypeAlias = Callable[[Sequence[Case]], Iterator[Outcome]]
LOST = "the process that worked on it died; it may have run out of memory"


def _formats(text: str) -> tuple[Format, ...]:
    wanted = {name.strip() for name in text.split(",") if name.strip()}
    if unknown := sorted(wanted - set(FORMATS)):
        raise typer.BadParameter(f"{', '.join(unknown)}: must be of {', '.join(FORMATS)}")
    return tuple(name for name in FORMATS if name in wanted)


def _rule(text: str) -> Rule:
    if text not in get_args(Rule):
        raise typer.BadParameter(f"{text!r}: must be of {', '.join(get_args(Rule))}", param_hint="--grow")
    return text  # type: ignore[return-value] # checked


def segment(  # noqa: PLR0913 # the options of a command
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="INPUT...", help="PNG, JPEG, NIfTI, MHA, NRRD, DICOM, ZIP, or folders of them."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="Folder for the results, OUT/<case>/.")],
    *,
    formats: Annotated[str, typer.Option(help=f"Files to write, of {','.join(FORMATS)}.")] = ",".join(DEFAULT_FORMATS),
    window: Annotated[
        float | None, typer.Option(metavar="TOP", min=MIN_WINDOW, help="Value shown as the hottest; default: SUV 6.")
    ] = None,
    grow: Annotated[
        str, typer.Option(metavar="RULE", help=f"How lesions grow to 3-D: {' | '.join(get_args(Rule))}.")
    ] = DEFAULT_RULE,
    series: SeriesOption = None,
    unit: UnitOption = None,
    weight: WeightOption = None,
    dose: DoseOption = None,
    jobs: Annotated[int, typer.Option(min=0, help="Cases in work at once; 0: one for each core.")] = 0,
    engine: EngineOption = "local",
    address: AddressOption = None,
    force: Annotated[bool, typer.Option("--force", help="Do again what is done.")] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what was done, with what, into a JSON file.")
    ] = None,
) -> None:
    """Find tumours in images and volumes, and measure them.

    Prints one JSON object a case. Exit code 0: all done; 1: some cases failed; 2: wrong use.
    """
    if address is not None and engine != "ray":
        raise typer.BadParameter("needs --engine ray", param_hint="--address")
    options = Options(_formats(formats), window, _rule(grow), series, unit, weight, dose)
    plan = _prepare(out, options, force=force)
    started, results = time.perf_counter(), sys.stdout  # engines may put something else in its place
    with _engine(engine, address, plan, jobs) as run:
        cases = find_cases(inputs, out)
        outcomes = _told(run(cases), len(cases), results)
    _write_totals(plan, outcomes, report, time.perf_counter() - started)
    if failures := sum(outcome.status == "failed" for outcome in outcomes):
        stop(f"{failures} of {len(outcomes)} cases failed", 1)


def _prepare(out: Path, options: Options, *, force: bool) -> Plan:
    """Check what all cases need before the first."""
    try:
        settings = Settings()
        made_by = provenance(settings)
        out.mkdir(parents=True, exist_ok=True)
        check_table(out)
    except ValidationError as error:
        stop(describe(error), 2)
    except MipsegError as error:
        stop(str(error), 2)
    except OSError as error:
        stop(f"can't make the output folder {out}: {error.strerror}", 2)
    return Plan(out, settings, options, made_by, now(), force)


@contextmanager
def _engine(name: Engine, address: str | None, plan: Plan, jobs: int) -> Iterator[Run]:
    """What works off the cases; where it can't, the command ends with code 2."""
    if name == "local":
        yield partial(_run_here, plan=plan, jobs=jobs)
        return
    try:
        with segmenting_cluster(address, plan, jobs) as run:
            yield run
    except ModuleNotFoundError as error:
        stop(f"the package {error.name} is missing: pip install 'mipseg[ray]'", 2)
    except MipsegError as error:
        stop(str(error), 2)


def _run_here(cases: Sequence[Case], plan: Plan, jobs: int) -> Iterator[Outcome]:
    """Work off the cases on this machine."""
    skipped = [outcome for case in cases if (outcome := done_before(case, plan)) is not None]
    names = {outcome.case for outcome in skipped}
    left = [case for case in cases if case.name not in names]
    cores = plan.settings.threads or usable_cores()
    processes = min(jobs or cores, max(1, len(left)))
    shared = replace(plan, settings=plan.settings.model_copy(update={"threads": max(1, cores // processes)}))
    work = partial(segment_case, plan=shared)
    return chain(skipped, run_cases(work, left, processes, partial(failed, problem=LOST)))


def _told(outcomes: Iterator[Outcome], total: int, results: TextIO) -> list[Outcome]:
    """All outcomes by name; each is told in a line of `results` as it comes."""
    told = []
    with progress_bar("segmenting", total) as advance:
        for outcome in outcomes:
            told.append(outcome)
            advance()
            typer.echo(json.dumps(asdict(outcome)), file=results)
            if outcome.status == "failed":
                typer.echo(f"failed: {outcome.case}: {outcome.error}", err=True)
    return sorted(told, key=lambda outcome: outcome.case)


def _write_totals(plan: Plan, outcomes: Sequence[Outcome], report: Path | None, seconds: float) -> None:
    try:
        write_table(plan.out, [outcome.case for outcome in outcomes if outcome.status != "failed"])
        if report is not None:
            write_json(report, run_report(plan, outcomes, seconds))
    except OSError as error:
        stop(f"can't write {error.filename}: {error.strerror}", 1)
