"""The jobs of a service on disk: one folder each, named by an id that can't be guessed, for the owner only."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import RLock
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from mipseg.engines.plan import Options
from mipseg.http.problem_codes import title_of
from mipseg.io.find import file_kind
from mipseg.io.write import write_bytes
from mipseg.serving.jobs import folders
from mipseg.serving.jobs.job import CORRECTION, UPLOAD, Job, JobProblem, ResultFile
from mipseg.serving.problems import ProblemError
from mipseg.settings import Settings

MIN_ROOM = 2**20  # counted for every job, so that those without files are bounded in number as well
MAX_INTERRUPTIONS = 2  # a volume that ends the whole service is not tried a third time
_UNFINISHED = {"queued", "running"}
_WAITING: dict[str, Any] = {"state": "queued", "progress": 0.0, "doing": "waiting for its turn"}


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

        A folder that was removed meanwhile is left, and its jobs are forgotten.

        Args:
            create: whether to make the folder where there is none.

        Raises:
            ProblemError: another service has it, or it can't be used.
        """
        with self._lock:
            is_there = self._folder.is_dir()
            if self._owner is not None and not is_there:  # somebody removed it with all jobs
                self._owner.release()
                self._owner, self._jobs = None, {}
            if self._owner is not None or not (create or is_there):
                return
            try:
                self._folder.mkdir(0o700, parents=True, exist_ok=True)
                owner = FileLock(self._folder / "lock", timeout=0, thread_local=False, mode=0o600)
                owner.acquire()
                found = [job for folder in self._folder.iterdir() if (job := folders.load(folder)) is not None]
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

        Where room is short, the uploads of the oldest jobs that are done make way.

        Raises:
            ProblemError: too many jobs wait, or there would be too many bytes.
        """
        with self._lock:
            self.open()
            self._check_number()
            jobs = [*self._jobs.values(), *self._arriving.values()]
            missing = sum(job.room for job in jobs) + max(size, MIN_ROOM) - self._settings.max_jobs_bytes
            for job in list(self._jobs.values()):
                if missing > 0 and job.state == "done":
                    missing -= self._drop_upload(job)
            if missing > 0:
                raise ProblemError("disk-full", "the jobs have no more room on disk", {"Retry-After": "600"})

    def add(self, upload: BinaryIO, size: int, options: Options) -> Job:
        """Keep an upload as a new job at the end of the queue.

        Raises:
            ProblemError: there is no room, or it is none of the files that are read.
        """
        self.open(create=True)
        job = Job(id=secrets.token_hex(16), created=_now(), options=options, room=max(size, MIN_ROOM))
        with self._arrival(job), folders.new_folder(self.folder_of(job)) as folder:
            with (folder / UPLOAD).open("xb") as kept:
                shutil.copyfileobj(upload, kept)  # in small parts: many uploads may end at once
            if file_kind(folder / UPLOAD) is None:
                raise ProblemError("invalid-volume", "the file is neither DICOM, NIfTI, MHA, NRRD nor ZIP")
            folders.write_record(folder, job)
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
        return folders.result(self.folder_of(job), job, name)

    def projection(self, job_id: str) -> Path:
        """The projection of a job that is done, whose mask can be corrected.

        Raises:
            ProblemError: no such job, it is not done, or there is no volume or no picture of it.
        """
        job = self.get(job_id)
        return folders.projection(self.folder_of(job), job)

    def correct(self, job_id: str, mask: bytes) -> Job:
        """Queue a job that is done once more, with a corrected mask.

        Args:
            job_id: of the job.
            mask: a PNG as `mipseg.io.mask_png.decode_binary` reads it, of the projection's size.

        Raises:
            ProblemError: as of `projection`, or too many jobs wait.
        """
        with self._lock:
            self.projection(job_id)
            self._check_number()
            job = self._jobs[job_id]
            with folders.kept():
                write_bytes(self.folder_of(job) / CORRECTION, mask)
            again = {"corrections": job.corrections + 1, "interruptions": 0, "ended": None, "problem": None}
            return self._change(job, **_WAITING, **again)

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
        """A running job has ended: without a problem its results and its upload stay, for a correction.

        After a correction, the results from before go; after one that failed, they are its results again.
        """
        with self._lock:
            if not self.is_running(job_id):
                return
            job = self._jobs[job_id]
            ended = {"ended": _now(), "progress": 1.0, "doing": "", "problem": problem}
            if problem is None:
                last = self._change(job, state="done", files=files, room=self._room_of(job, files), **ended)
            elif job.corrections:
                last = self._change(job, state="done", corrections=job.corrections - 1, **ended)
            else:
                last = self._change(job, state="failed", room=MIN_ROOM, **ended)
            folders.tidy(self.folder_of(last), last)

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
        with suppress(ProblemError), folders.kept():
            folders.write_record(self.folder_of(job), changed)
        return changed

    def _check_number(self) -> None:
        jobs = [*self._jobs.values(), *self._arriving.values()]
        if sum(job.state in _UNFINISHED for job in jobs) >= self._settings.max_jobs:
            raise ProblemError("jobs-full", "too many volumes wait already", {"Retry-After": "30"})

    def _drop_upload(self, job: Job) -> int:
        """Remove the upload of a job that is done, whose mask can't be corrected any more; the room that this makes."""
        (self.folder_of(job) / UPLOAD).unlink(missing_ok=True)
        return job.room - self._change(job, room=self._room_of(job, job.files)).room

    def _room_of(self, job: Job, files: tuple[ResultFile, ...]) -> int:
        """Bytes of a job that is done."""
        upload = self.folder_of(job) / UPLOAD
        size = upload.stat().st_size if upload.exists() else 0
        return max(size + sum(file.size for file in files), MIN_ROOM)

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


def _now() -> datetime:
    return datetime.now(UTC)
