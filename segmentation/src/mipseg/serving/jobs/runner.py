"""Works off the jobs one at a time, each in a process that can crash, hang or be killed without harm to the service."""

import subprocess
import sys
import time
from contextlib import suppress
from threading import Event, Lock, Thread, Timer

import structlog
from pydantic import ValidationError

from mipseg.http.problem_codes import title_of
from mipseg.serving.jobs.job import CORRECTION, Job, JobProblem
from mipseg.serving.jobs.store import JobStore
from mipseg.serving.jobs.worker import Message, Order
from mipseg.serving.problems import ProblemError
from mipseg.settings import Settings

POLL_S = 5.0  # between two looks for a job without being told of one: a folder may become free
KILL_S = 10.0
_COMMAND = (sys.executable, "-P", "-m", "mipseg.serving.jobs.worker")
_log = structlog.get_logger()


class JobRunner:
    """A thread that starts one process after another.

    Args:
        store: the jobs.
        settings: what the processes compute with, and `job_deadline_s`.
    """

    def __init__(self, store: JobStore, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self._wake, self._stopping, self._lock = Event(), Event(), Lock()
        self._running: tuple[str, subprocess.Popen[str]] | None = None
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._stopping.clear()
        self._thread = Thread(target=self._work, name="jobs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; a job that runs is ended as well, and begun again by the next service."""
        with self._lock:
            self._stopping.set()
        self.wake()
        self._kill()
        if self._thread is not None:
            self._thread.join(KILL_S)
        self._store.close()

    def wake(self) -> None:
        """Look for a job now."""
        self._wake.set()

    def remove(self, job_id: str) -> None:
        """Remove a job; if it runs, its process is ended first.

        Raises:
            ProblemError: there is no such job.
        """
        job = self._store.forget(job_id)
        self._kill(job_id)
        self._store.clear(job)

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                job = self._store.begin_next()
            except ProblemError:  # another service has the folder
                job = None
            if job is None:
                self._wake.wait(POLL_S)
                self._wake.clear()
            else:
                self._try(job)

    def _try(self, job: Job) -> None:
        """Whatever goes wrong with one job, the next has its turn."""
        try:
            self._run(job)
        except Exception:
            _log.exception("job_failed")
            message = Message(code="job-failed", detail="its process can't be used; see the log")
            self._store.finish(job.id, (), _problem(message, is_late=False))

    def _run(self, job: Job) -> None:
        started = time.monotonic()
        process = self._start(job)
        if process is None:
            return
        timer = Timer(self._settings.job_deadline_s, process.kill)
        timer.start()
        last = self._follow(job, process)
        timer.cancel()
        with self._lock:
            self._running = None
        if self._stopping.is_set():
            return
        is_late = time.monotonic() - started >= self._settings.job_deadline_s
        problem = None if last.files is not None else _problem(last, is_late=is_late)
        self._store.finish(job.id, last.files or (), problem)
        seconds = round(time.monotonic() - started, 2)
        ended = {"code": problem.code, "trace": last.trace, "status": process.returncode} if problem else {}
        _log.info("job_ended", seconds=seconds, **ended)

    def _start(self, job: Job) -> "subprocess.Popen[str] | None":
        """Start the process, unless the job was removed or the service ends."""
        folder = self._store.folder_of(job)
        order = Order(
            folder=folder,
            out=folder / job.results,
            correction=folder / CORRECTION if job.corrections else None,
            created=job.created,
            options=job.options,
            settings=self._settings,
        )
        with self._lock:
            if self._stopping.is_set() or not self._store.is_running(job.id):
                return None
            process = subprocess.Popen(  # noqa: S603  # our own program
                _COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # libraries name patients in their messages
                text=True,
                encoding="utf-8",
            )
            self._running = job.id, process
        with suppress(OSError):  # it may be dead already
            print(order.model_dump_json(), file=process.stdin, flush=True)
        return process

    def _follow(self, job: Job, process: "subprocess.Popen[str]") -> Message:
        """Pass progress on until the process ends; its last message."""
        last = Message()
        with process:
            for line in process.stdout or ():
                with suppress(ValidationError):  # half a line of a process that was killed
                    last = Message.model_validate_json(line)
                    if last.doing:
                        self._store.progress(job.id, last.progress, last.doing)
        return last

    def _kill(self, job_id: str | None = None) -> None:
        """End the process that runs, if it is that of this job."""
        with self._lock:
            running = self._running
        if running is not None and job_id in (None, running[0]):
            running[1].kill()
            with suppress(subprocess.TimeoutExpired):
                running[1].wait(KILL_S)


def _problem(last: Message, *, is_late: bool) -> JobProblem:
    code, detail = last.code, last.detail
    if not code and is_late:
        code, detail = "job-timeout", "it did not end in time"
    elif not code:
        code, detail = "job-lost", "its process died; the file may be damaged, or need more memory than there is"
    return JobProblem(code=code, title=title_of(code, 500), detail=detail)
