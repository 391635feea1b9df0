"""Processes of jobs that end well, badly, late or not at all; each a script instead of the real program."""

import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from mipseg.engines.plan import Options
from mipseg.serving.jobs import runner as module
from mipseg.serving.jobs.job import Job, ResultFile
from mipseg.serving.jobs.runner import JobRunner
from mipseg.serving.jobs.store import JobStore
from mipseg.serving.problems import ProblemError
from mipseg.settings import Settings

DONE = """
print('{"progress": 0.5, "doing": "reading"}', flush=True)
print('{"files": [{"name": "mask.png", "size": 3, "type": "image/png"}]}', flush=True)
"""
START, NEXT = "import sys, json; order = json.loads(sys.stdin.readline())\n", "input()\n"
HANGS = 'import time; print(\'{"progress": 0.5, "doing": "reading"}\', flush=True); time.sleep(60)'
Rig = Callable[..., Any]


class Jobs:
    """A store and what works its jobs off with a script, which gets the order as `order`."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.settings = Settings(jobs_dir=folder, **settings)
        self.store = JobStore(self.settings)
        self.runner = JobRunner(self.store, self.settings)

    def add(self) -> Job:
        job = self.store.add(io.BytesIO(b"NRRD0004\n"), 9, Options(rule="suv4"))
        self.runner.wake()
        return job

    def wait(self, job: Job, *states: str, progress: float = 0.0) -> Job:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            found = self.store.get(job.id)
            if found.state in states and found.progress >= progress:
                return found
            time.sleep(0.01)
        pytest.fail(f"the job is {self.store.get(job.id)}")


@contextmanager
def running(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str, **settings: Any) -> Iterator[Jobs]:
    monkeypatch.setattr(module, "_COMMAND", (sys.executable, "-c", START + script))
    jobs = Jobs(folder, **settings)
    jobs.runner.start()
    try:
        yield jobs
    finally:
        jobs.runner.stop()


def children() -> list[psutil.Process]:
    """Processes of jobs; other tests may have left services and a pool's."""
    alive = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in alive if "".join(child.cmdline()[-1:]).startswith((START, NEXT))]


def test_jobs_are_done_one_after_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = """
place = __import__("pathlib").Path(order["folder"])
with (place.parent / "log").open("a") as log:
    log.write("begin ")
    log.flush()
    __import__("time").sleep(0.05)
    log.write(f"end {order['options']['rule']} {order['settings']['threads']}\\n")
"""
    with running(monkeypatch, tmp_path, script + DONE, threads=3) as jobs:
        added = [jobs.add() for _ in range(3)]
        for job in added:
            found = jobs.wait(job, "done")
            assert found.files == (ResultFile(name="mask.png", size=3, type="image/png"),)
            assert found.problem is None
    assert (tmp_path / "log").read_text() == "begin end suv4 3\n" * 3


@pytest.mark.parametrize(
    ("script", "code", "detail"),
    [
        ('print(\'{"code": "invalid-volume", "detail": "cut off"}\')', "invalid-volume", "cut off"),
        ("__import__('os').abort()", "job-lost", "its process died"),
        ("__import__('os').kill(__import__('os').getpid(), 9)", "job-lost", "its process died"),
        ("print('{\"doing')", "job-lost", "its process died"),
        (HANGS, "job-timeout", "it did not end in time"),
    ],
)
def test_a_job_that_fails_says_why_and_the_next_is_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, code: str, detail: str
) -> None:
    with running(monkeypatch, tmp_path, script, job_deadline_s=0.5 if script == HANGS else 20) as jobs:
        first = jobs.add()
        found = jobs.wait(first, "failed")
        assert found.problem is not None
        assert found.problem.code == code
        assert found.problem.detail.startswith(detail)
        monkeypatch.setattr(module, "_COMMAND", (sys.executable, "-c", NEXT + DONE))
        jobs.wait(jobs.add(), "done")
    assert children() == []


def test_what_a_process_says_beside_its_messages_is_nobody_s(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script = "print('cannot read Doe^John', file=sys.stderr, flush=True)"
    with running(monkeypatch, tmp_path, script + DONE) as jobs:
        jobs.wait(jobs.add(), "done")
    assert "Doe" not in "".join(capfd.readouterr())


def test_a_program_that_can_t_be_started_fails_its_job_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with running(monkeypatch, tmp_path, DONE) as jobs:
        command = module._COMMAND
        monkeypatch.setattr(module, "_COMMAND", (str(tmp_path / "missing"),))
        found = jobs.wait(jobs.add(), "failed")
        assert found.problem is not None
        assert found.problem.code == "job-failed"
        monkeypatch.setattr(module, "_COMMAND", command)
        jobs.wait(jobs.add(), "done")


def test_a_removed_job_s_process_is_gone_when_remove_returns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with running(monkeypatch, tmp_path, HANGS) as jobs:
        hanging, waiting = jobs.add(), jobs.add()
        assert jobs.wait(hanging, "running", progress=0.5).doing == "reading"
        (process,) = children()
        jobs.runner.remove(waiting.id)
        assert process.is_running()
        monkeypatch.setattr(module, "_COMMAND", (sys.executable, "-c", NEXT + DONE))
        jobs.runner.remove(hanging.id)
        assert not psutil.pid_exists(process.pid)
        assert not jobs.store.folder_of(hanging).exists()
        jobs.wait(jobs.add(), "done")
        assert [jobs.store.get(job.id).state for job in (hanging, waiting)] == ["cancelled", "cancelled"]
        with pytest.raises(ProblemError, match="no such job"):
            jobs.runner.remove("0" * 32)


def test_a_job_that_ran_at_the_end_is_done_by_the_next_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with running(monkeypatch, tmp_path, HANGS) as jobs:
        job = jobs.add()
        jobs.wait(job, "running", progress=0.5)
    assert children() == []
    with running(monkeypatch, tmp_path, DONE) as jobs:
        assert jobs.wait(job, "done").interruptions == 0
        jobs.runner.stop()
        jobs.runner.start()  # an application may begin twice
        jobs.wait(jobs.add(), "done")


def test_a_folder_that_becomes_free_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.02)
    other = Jobs(tmp_path)
    job = other.add()
    with running(monkeypatch, tmp_path, DONE) as jobs:
        with pytest.raises(ProblemError, match="another service"):
            jobs.store.get(job.id)
        other.store.close()
        jobs.wait(job, "done")
