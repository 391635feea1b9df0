"""`mipseg report`: pages and PDFs of what `mipseg segment` wrote."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from mipseg.cli.options import now, stop, stop_on_errors
from mipseg.cli.progress import progress_bar
from mipseg.engines.cases import RECORD
from mipseg.errors import MipsegError, ReportError
from mipseg.io.write import write_text
from mipseg.report import PAGE, PDF


def report(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The output folder of segment.")],
    *,
    run: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What segment --report wrote: names the cases that failed.")
    ] = None,
) -> None:
    """Write OUT/report.html on all cases, and a report.html and a report.pdf beside the results of each.

    Exit code 1: some cases have no report; 2: there is nothing to report.
    """
    with stop_on_errors(2, "write", out):
        folders = sorted(file.parent for file in out.glob(f"*/{RECORD}"))
        if not folders:
            raise ReportError(f"{out} holds no results; `mipseg segment INPUT -o {out}` writes them")
        problems = _write_all(out, folders, None if run is None else _failures(run))
    typer.echo(str(out / "report.html"))
    for case, problem in problems.items():
        typer.echo(f"failed: {case}: {problem}", err=True)
    if problems:
        stop(f"{len(problems)} of {len(folders)} cases have no report", 1)


def _write_all(out: Path, folders: Sequence[Path], failures: dict[str, str] | None) -> dict[str, str]:
    """Write every page; returns why a case has none, by name."""
    from mipseg.report.cohort import cohort_page  # noqa: PLC0415 # an extra

    made, with_pdf = now(), _can_write_pdf()
    records, problems = [], dict[str, str]()
    with progress_bar("reporting", len(folders)) as advance:
        for folder in folders:
            try:
                records.append(_write_case(folder, made, with_pdf=with_pdf))
            except MipsegError as error:
                problems[folder.name] = str(error)
            advance()
    found = failures if not problems else {**(failures or {}), **problems}
    write_text(out / PAGE, cohort_page(records, found, made, with_pdf=with_pdf))
    return problems


def _can_write_pdf() -> bool:
    from mipseg.report.pdf import require_pdf  # noqa: PLC0415 # an extra

    try:
        require_pdf()
    except ReportError as error:
        typer.echo(f"no PDF: {error}", err=True)
        return False
    return True


def _write_case(folder: Path, made: datetime, *, with_pdf: bool) -> dict[str, Any]:
    """Write a case's page and PDF; returns its record."""
    from mipseg.report.case import case_page, read_figure  # noqa: PLC0415 # an extra
    from mipseg.report.pdf import write_pdf  # noqa: PLC0415

    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ReportError(f"{RECORD} is damaged: {error}") from error
    figure = read_figure(folder, record)
    write_text(folder / PAGE, case_page(record, figure, made, one_page=False))
    if with_pdf:
        write_pdf(folder / PDF, case_page(record, figure, made, one_page=True))
    return record


def _failures(run: Path) -> dict[str, str]:
    """The cases that failed, with the reason, by what `mipseg segment --report` wrote.

    Raises:
        ReportError: it can't be read.
    """
    try:
        cases = json.loads(run.read_text(encoding="utf-8"))["cases"]
        return {case["case"]: case["error"] for case in cases if case["status"] == "failed"}
    except OSError as error:
        raise ReportError(f"can't read {run}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ReportError(f"{run} is not what `mipseg segment --report` writes: {error!r}") from error
