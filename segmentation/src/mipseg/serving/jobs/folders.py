"""The folder of one job: its record, the upload, a corrected mask, and its results."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from mipseg.engines import cases
from mipseg.io.write import write_text
from mipseg.serving.jobs.job import UPLOAD, Job
from mipseg.serving.problems import ProblemError

RECORD = "job.json"
_PARTIAL = ".partial"
_log = structlog.get_logger()


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder that takes its place when it is complete, and goes if it does not get so far.

    Raises:
        ProblemError: there is no room, no right to write, ...
    """
    partial = folder.with_name(f"{folder.name}{_PARTIAL}")
    try:
        with kept():
            partial.mkdir(0o700)
            yield partial
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def kept() -> Iterator[None]:
    """Turn a file that can't be written into the problem of its client."""
    try:
        yield
    except OSError as error:
        _log.error("job_not_kept", reason=error.strerror)
        raise ProblemError("disk-full", "the file can't be kept", {"Retry-After": "600"}) from None


def write_record(folder: Path, job: Job) -> None:
    """Write down how a job stands.

    Raises:
        OSError: there is no room, no right to write, ...
    """
    write_text(folder / RECORD, job.model_dump_json())


def load(folder: Path) -> Job | None:
    """A job of an earlier service; what had not arrived completely is removed."""
    if folder.suffix == _PARTIAL:
        shutil.rmtree(folder, ignore_errors=True)
    try:
        return Job.model_validate_json((folder / RECORD).read_bytes())
    except (OSError, ValidationError):
        return None


def result(folder: Path, job: Job, name: str) -> Path:
    """A file of results.

    Raises:
        ProblemError: no such file, or the job has none.
    """
    if job.state != "done":
        raise ProblemError("job-not-done", f"the job is {job.state}, so it has no files")
    file = folder / job.results / UPLOAD / name
    if name not in {listed.name for listed in job.files}:
        raise ProblemError("unknown-result", "the job has no file of this name")
    if not file.is_file():
        raise ProblemError("unknown-result", "the file was removed from the service's disk; send the volume again")
    return file


def projection(folder: Path, job: Job) -> Path:
    """The projection of a volume, of which the mask can be corrected.

    Raises:
        ProblemError: the job is not done, or has none, or its upload had to make way.
    """
    record: dict[str, Any] = json.loads(result(folder, job, cases.RECORD).read_bytes())
    if record["kind"] == "image" or cases.PROJECTION not in record["files"]:
        detail = f"only the mask of a volume can be corrected, and only of a job that has {cases.PROJECTION}"
        raise ProblemError("job-not-correctable", detail)
    if not (folder / UPLOAD).is_file():
        raise ProblemError("job-not-correctable", "the upload had to make way for newer ones; send it again")
    return result(folder, job, cases.PROJECTION)


def tidy(folder: Path, job: Job) -> None:
    """Remove what a job that has ended does not need any more: of one that is done all but its results and its upload.

    The upload stays for corrections.
    """
    needed = {RECORD, UPLOAD, job.results} if job.state == "done" else {RECORD}
    for path in folder.iterdir():
        if path.name not in needed:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
