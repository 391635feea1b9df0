"""The jobs of a service on disk: one folder each, named by an id that can't be guessed, for the owner only."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import RLock
from typing import Any, BinaryIO

import structlog
from filelock import FileLock, Timeout
from pydantic import ValidationError

from mipseg.engines.job import Options
from mipseg.io.find import file_kind
from mipseg.io.write import write_text
from mipseg.problem_codes import title_of
from mipseg.serving.jobs.job import RESULTS, TEMPORARY, UPLOAD, Job, JobProblem, ResultFile
from mipseg.serving.problems import ProblemError
from mipseg.settings import Settings

RECORD = "job.json"
MIN_ROOM = 2**20  # counted for every job, so that those without files are bounded in number as well
MAX_INTERRUPTIONS = 2  # a volume that ends the whole service is not tried a third time
_PARTIAL = ".partial"
_UNFINISHED = {"queued", "running"}
_WAITING: dict[str, Any] = {"state": "queued", "progress": 0.0, "doing": "waiting for its turn"}
_log = structlog.get_logger()


class JobStore:
    """Jobs that survive the service; safe to use from several threads.

    A job's folder holds its record, the upload until it has ended, and its results. The record is written beside its
    place and renamed. Only one service at a time may use the folder of all jobs.

    Args:
        settings: `jobs_dir`, `max_jobs`, `max_jobs_bytes` and `job_lifetime_s`.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings, self._folder = settings, settings.jobs_dir
        self._jobs, self._arriving = dict[str, Job](), dict[str, Job]()
        self._lock = RLock()
        self._owner: FileLock | None = None

    def open(self, *, create: bool = False) -> None:
        """Take the folder and read its jobs, unless that has happened; a job that was running is queued again.

        Args:
            create: whether to make the folder where there is none.

        Raises:
            ProblemError: another service has it, or it can't be used.
        """
        with self._lock:
            if self._owner is not None or not (create or self._folder.is_dir()):
                return
            try:
                self._folder.mkdir(0o700, parents=True, exist_ok=True)
                owner = FileLock(self._folder / "lock", timeout=0, thread_local=False, mode=0o600)
                owner.acquire()
                found = [job for folder in self._folder.iterdir() if (job := _load(folder)) is not None]
            except Timeout:
                detail = "another service keeps its jobs in the same folder; see MIPSEG_JOBS_DIR"
                raise ProblemError("jobs-unavailable", detail, {"Retry-After": "5"}) from None
            except OSError as error:
                detail = f"the folder of jobs can't be used: {error.strerror}; see MIPSEG_JOBS_DIR"
                raise ProblemError("jobs-unavailable", detail, {"Retry-After": "60"}) from None
            self._owner = owner
            self._jobs = {job.id: job for job in sorted(found, key=lambda job: job.created)}
            for job in found:
                if job.state == "running":
                    self._go_on(job)

    def close(self) -> None:
        """Leave the folder to the next service; a job that is running is queued again."""
        with self._lock:
            for job in list(self._jobs.values()):
                if job.state == "running":
                    self._change(job, **_WAITING)
            if self._owner is not None:
                self._owner.release()
            self._owner, self._jobs = None, {}

    def check_room(self, size: float) -> None:
        """Refuse a volume for which there is no room; before it is received, and again when it has come.

        Raises:
            ProblemError: too many jobs wait, or there would be too many bytes.
        """
        with self._lock:
            self.open()
            jobs = [*self._jobs.values(), *self._arriving.values()]
            if sum(job.state in _UNFINISHED for job in jobs) >= self._settings.max_jobs:
                raise ProblemError("jobs-full", "too many volumes wait already", {"Retry-After": "30"})
            if sum(job.room for job in jobs) + max(size, MIN_ROOM) > self._settings.max_jobs_bytes:
                raise ProblemError("disk-full", "the jobs have no more room on disk", {"Retry-After": "600"})

    def add(self, upload: BinaryIO, size: int, options: Options) -> Job:
        """Keep an upload as a new job at the end of the queue.

        Raises:
            ProblemError: there is no room, or it is none of the files that are read.
        """
        self.open(create=True)
        job = Job(id=secrets.token_hex(16), created=_now(), options=options, room=max(size, MIN_ROOM))
        with self._arrival(job), self._new_folder(job) as folder:
            with (folder / UPLOAD).open("xb") as kept:
                shutil.copyfileobj(upload, kept, 2**20)
            if file_kind(folder / UPLOAD) is None:
                raise ProblemError("invalid-volume", "the file is neither DICOM, NIfTI, MHA, NRRD nor ZIP")
            write_text(folder / RECORD, job.model_dump_json())
        with self._lock:
            self._jobs[job.id] = job
        return job

    def get(self, job_id: str) -> Job:
        """A job.

        Raises:
            ProblemError: there is none, or no more.
        """
        with self._lock:
            self.open()
            self._expire()
            if job_id not in self._jobs:
                raise ProblemError("unknown-job", "there is no such job; it may have expired")
            return self._jobs[job_id]

    def folder_of(self, job: Job) -> Path:
        """Where a job's files are."""
        return self._folder / job.id

    def result(self, job_id: str, name: str) -> Path:
        """A file of results.

        Raises:
            ProblemError: no such job or file, or the job has none.
        """
        job = self.get(job_id)
        if job.state != "done":
            raise ProblemError("job-not-done", f"the job is {job.state}, so it has no files")
        if name not in {file.name for file in job.files}:
            raise ProblemError("unknown-result", "the job has no file of this name")
        return self.folder_of(job) / RESULTS / UPLOAD / name

    def expires(self, job: Job) -> datetime | None:
        """When a job is forgotten; None: it has not ended."""
        return job.ended and job.ended + timedelta(seconds=self._settings.job_lifetime_s)

    def begin_next(self) -> Job | None:
        """Set the oldest queued job to running; None: there is none."""
        with self._lock:
            self.open()
            self._expire()
            job = next((job for job in self._jobs.values() if job.state == "queued"), None)
            return job and self._change(job, state="running", doing="starting")

    def is_running(self, job_id: str) -> bool:
        """Whether a job runs; no more if it was removed meanwhile."""
        with self._lock:
            return job_id in self._jobs and self._jobs[job_id].state == "running"

    def progress(self, job_id: str, progress: float, doing: str) -> None:
        """A running job has come so far."""
        with self._lock:
            if self.is_running(job_id):
                self._jobs[job_id] = self._jobs[job_id].model_copy(update={"progress": progress, "doing": doing})

    def finish(self, job_id: str, files: tuple[ResultFile, ...], problem: JobProblem | None = None) -> None:
        """A running job has ended: its upload goes, and without a problem its results stay."""
        with self._lock:
            if not self.is_running(job_id):
                return
            job = self._jobs[job_id]
            folder, room = self.folder_of(job), max(sum(file.size for file in files), MIN_ROOM)
            ended = {"ended": _now(), "progress": 1.0, "doing": "", "room": room}
            self._change(job, state="failed" if problem else "done", files=files, problem=problem, **ended)
            (folder / UPLOAD).unlink(missing_ok=True)
            shutil.rmtree(folder / TEMPORARY, ignore_errors=True)
            if problem is not None:
                shutil.rmtree(folder / RESULTS, ignore_errors=True)

    def forget(self, job_id: str) -> Job:
        """Give a job up; one that had not ended is known as cancelled until it expires.

        Raises:
            ProblemError: there is no such job.
        """
        with self._lock:
            job = self.get(job_id)
            if job.state in _UNFINISHED:
                ended = {"ended": _now(), "doing": "", "room": MIN_ROOM}
                self._jobs[job_id] = job.model_copy(update={"state": "cancelled", **ended})
            else:
                del self._jobs[job_id]
            return job

    def clear(self, job: Job) -> None:
        """Remove all files of a job."""
        shutil.rmtree(self.folder_of(job), ignore_errors=True)

    def _change(self, job: Job, **values: Any) -> Job:
        """Change a job, also on disk; if that fails it is only not known to the next service."""
        changed = self._jobs[job.id] = job.model_copy(update=values)
        try:
            write_text(self.folder_of(job) / RECORD, changed.model_dump_json())
        except OSError as error:
            _log.error("job_not_kept", reason=error.strerror)
        return changed

    def _go_on(self, job: Job) -> None:
        """A job was running when the service ended without warning."""
        if job.interruptions < MAX_INTERRUPTIONS:
            self._change(job, interruptions=job.interruptions + 1, **_WAITING)
            return
        detail = "the service ended each time that it worked on this"
        self.finish(job.id, (), JobProblem(code="job-lost", title=title_of("job-lost", 500), detail=detail))

    def _expire(self) -> None:
        now = _now()
        for job in list(self._jobs.values()):
            end = self.expires(job)
            if end is not None and end <= now:
                del self._jobs[job.id]
                self.clear(job)

    @contextmanager
    def _arrival(self, job: Job) -> Iterator[None]:
        """Count a job while it is being written."""
        with self._lock:
            self.check_room(job.room)
            self._arriving[job.id] = job
        try:
            yield
        finally:
            with self._lock:
                del self._arriving[job.id]

    @contextmanager
    def _new_folder(self, job: Job) -> Iterator[Path]:
        """A folder that takes its place when it is complete, and goes if it does not get so far."""
        partial = self._folder / f"{job.id}{_PARTIAL}"
        try:
            partial.mkdir(0o700)
            yield partial
            partial.rename(self.folder_of(job))
        except OSError as error:
            _log.error("job_not_kept", reason=error.strerror)
            raise ProblemError("disk-full", "the file can't be kept", {"Retry-After": "600"}) from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _load(folder: Path) -> Job | None:
    """A job of an earlier service; what had not arrived completely is removed."""
    if folder.suffix == _PARTIAL:
        shutil.rmtree(folder, ignore_errors=True)
    try:
        return Job.model_validate_json((folder / RECORD).read_bytes())
    except (OSError, ValidationError):
        return None


def _now() -> datetime:
    return datetime.now(UTC)
