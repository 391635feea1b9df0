"""The process of one job: `python -m mipseg.serving.jobs.worker`, an order on standard input, JSON lines as output."""

import contextlib
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from threading import Thread

from pydantic import BaseModel

from mipseg.engines.cases import Case
from mipseg.engines.plan import Options, Plan, provenance
from mipseg.engines.segment_case import Steps, describe, segment_or_raise
from mipseg.engines.table import write_table
from mipseg.errors import InputError, ModelError
from mipseg.serving.jobs.job import TEMPORARY, UPLOAD, ResultFile, type_of
from mipseg.settings import Settings

TABLE = "measurements.csv"
STEPS = {  # progress where a step begins, in shares of the time of a whole-body volume
    "read": (0.1, "reading the volume"),
    "segment": (0.35, "finding and measuring lesions"),
    "write": (0.7, "writing the results"),
}
NICENESS = 10  # against 0: a tenth of the time of a core that both want


class Order(BaseModel):
    """What to do.

    Attributes:
        folder: of the job, with the upload.
        out: where results go.
        correction: the corrected mask, if there is one.
        created: when the job came.
        options: of the command.
        settings: of the service.
    """

    folder: Path
    out: Path
    correction: Path | None = None
    created: datetime
    options: Options
    settings: Settings


class Message(BaseModel):
    """A line of output: progress, or at the end either files or a problem.

    Attributes:
        progress: 0 to 1.
        doing: what is being done.
        files: the results.
        code: of the problem.
        detail: what is wrong, for the client.
        trace: where the program failed, for the log; holds nothing of the input.
    """

    progress: float = 0.0
    doing: str = ""
    files: tuple[ResultFile, ...] | None = None
    code: str = ""
    detail: str = ""
    trace: str = ""


def work(order: Order, tell: Callable[[Message], None]) -> None:
    """Segment the upload as the command does, into the folder of results, and tell how it goes and ends."""

    def begins(step: str) -> None:
        if step in STEPS:
            progress, doing = STEPS[step]
            tell(Message(progress=progress, doing=doing))

    out = order.out
    try:
        made_by = provenance(order.settings)
        plan = Plan(out, order.settings, order.options, made_by, order.created, correction=order.correction)
        outcome = segment_or_raise(Case(UPLOAD, order.folder / UPLOAD), plan, Steps(begins))
        write_table(out, [UPLOAD])
        (out / TABLE).replace(out / UPLOAD / TABLE)
    except Exception as error:
        tell(_problem(error, order.folder))
        return
    names = (*outcome.files, TABLE)
    sizes = ((name, (out / UPLOAD / name).stat().st_size) for name in names)
    tell(Message(files=tuple(ResultFile(name=name, size=size, type=type_of(name)) for name, size in sizes)))


def _problem(error: Exception, folder: Path) -> Message:
    """What a client and the log may know of an error: no path of this machine, and nothing of the input in the log."""
    detail = " ".join(describe(error).split()).replace(f"{folder}{os.sep}", "")[:500]
    if isinstance(error, InputError):
        return Message(code=error.code, detail=detail)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    trace = f"{type(error).__name__} in {Path(frame.filename).name}, line {frame.lineno}"
    if isinstance(error, ModelError):
        return Message(code="model-unavailable", detail="the model can't be loaded; see the log", trace=trace)
    if isinstance(error, OSError | MemoryError | ModuleNotFoundError):
        return Message(code="job-failed", detail=detail, trace=trace)
    return Message(code="job-failed", detail="the volume made the program fail; see the log", trace=trace)


def _give_way() -> None:
    """Let predictions go first, and be the first to end where memory is short."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")


def _end_with_service() -> None:
    """Standard input stays open as long as the service lives; interrupts are for the service to deal with."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait() -> None:
        sys.stdin.read()
        os._exit(1)

    Thread(target=wait, daemon=True).start()


def main() -> None:
    """Work on the order that comes."""
    order = Order.model_validate_json(sys.stdin.readline())
    _end_with_service()
    _give_way()
    os.umask(0o077)
    temporary = order.folder / TEMPORARY
    temporary.mkdir(exist_ok=True)
    tempfile.tempdir = str(temporary)
    # What C libraries print must not get between the messages.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as output:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        work(order, lambda message: print(message.model_dump_json(), file=output, flush=True))
    os._exit(0)  # at a low priority it would take seconds to put everything away


if __name__ == "__main__":
    main()
