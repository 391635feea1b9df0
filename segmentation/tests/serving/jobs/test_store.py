"""The jobs on disk: order, bounds, what a restart finds, what goes when."""

import io
import json
import shutil
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mipseg.engines.plan import Options
from mipseg.http.problem_codes import title_of
from mipseg.serving.jobs import store as module
from mipseg.serving.jobs.job import Job, JobProblem, ResultFile
from mipseg.serving.jobs.store import MIN_ROOM, JobStore
from mipseg.serving.problems import ProblemError
from mipseg.settings import Settings

NRRD = b"NRRD0004\n"
FILES = (ResultFile(name="mask.nii.gz", size=3, type="application/gzip"),)
CORRECTABLE = (
    *FILES,
    ResultFile(name="mip.png", size=3, type="image/png"),
    ResultFile(name="measurements.json", size=3, type="application/json"),
)
PROBLEM = JobProblem(code="job-lost", title=title_of("job-lost", 500), detail="it died")
MakeStore = Callable[..., JobStore]


@pytest.fixture
def make_store(tmp_path: Path) -> MakeStore:
    def make(**settings: Any) -> JobStore:
        return JobStore(Settings(jobs_dir=tmp_path / "data/jobs", **settings))

    return make


def add(store: JobStore, content: bytes = NRRD, **options: Any) -> Job:
    return store.add(io.BytesIO(content), len(content), Options(**options))


def write_results(store: JobStore, job: Job, number: int = 0, kind: str = "dicom") -> Path:
    folder = store.folder_of(job) / f"results-{number}/upload"
    folder.mkdir(parents=True)
    for name in ("mask.nii.gz", "mip.png"):
        (folder / name).write_bytes(b"abc")
    (folder / "measurements.json").write_text(json.dumps({"kind": kind, "files": ["mip.png"]}))
    (store.folder_of(job) / "tmp").mkdir()
    return folder / "mask.nii.gz"


def add_done(store: JobStore, kind: str = "dicom") -> Job:
    """A job whose mask can be corrected, unless it is of another kind."""
    job = add(store)
    assert store.begin_next() == store.get(job.id)
    write_results(store, job, kind=kind)
    store.finish(job.id, CORRECTABLE)
    return store.get(job.id)


def assert_refused(code: str, call: Callable[..., object], *arguments: object) -> None:
    with pytest.raises(ProblemError) as problem:
        call(*arguments)
    assert problem.value.code == code


def test_a_job_is_kept_for_its_owner_only(make_store: MakeStore) -> None:
    store = make_store()
    job, other = add(store, NRRD + b"1", rule="suv4"), add(store)
    assert len(job.id) == 32
    assert job.id != other.id
    folder = store.folder_of(job)
    assert {file.name for file in folder.iterdir()} == {"upload", "job.json"}
    assert (folder / "upload").read_bytes() == NRRD + b"1"
    for path in (folder, folder.parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert store.get(job.id) == job
    assert (job.state, job.options.rule, job.ended, store.expires(job)) == ("queued", "suv4", None, None)


def test_the_oldest_has_its_turn_first(make_store: MakeStore) -> None:
    store = make_store()
    first, second = add(store), add(store)
    begun = store.begin_next()
    assert begun is not None
    assert (begun.id, begun.state) == (first.id, "running")
    store.progress(first.id, 0.5, "reading")
    assert (store.get(first.id).progress, store.get(first.id).doing) == (0.5, "reading")
    assert store.begin_next() == store.get(second.id)
    assert store.begin_next() is None


def test_results_stay_and_the_rest_goes(make_store: MakeStore) -> None:
    store = make_store()
    job = add(store)
    assert_refused("job-not-done", store.result, job.id, "mask.nii.gz")
    store.begin_next()
    file = write_results(store, job)
    store.finish(job.id, FILES)
    assert {path.name for path in store.folder_of(job).iterdir()} == {"job.json", "upload", "results-0"}
    assert store.result(job.id, "mask.nii.gz") == file
    found = store.get(job.id)
    assert (found.state, found.progress, found.files, found.problem) == ("done", 1.0, FILES, None)
    for name in ("job.json", "../../job.json", "mask.png", ""):
        assert_refused("unknown-result", store.result, job.id, name)


def test_nothing_but_the_reason_stays_of_what_failed(make_store: MakeStore) -> None:
    store = make_store()
    job = add(store)
    store.begin_next()
    write_results(store, job)
    store.finish(job.id, (), PROBLEM)
    assert [path.name for path in store.folder_of(job).iterdir()] == ["job.json"]
    assert (store.get(job.id).state, store.get(job.id).problem) == ("failed", PROBLEM)
    assert_refused("job-not-done", store.result, job.id, "mask.nii.gz")


def test_a_folder_that_somebody_removed_is_made_again(make_store: MakeStore) -> None:
    store = make_store()
    first = add(store)
    store.begin_next()
    shutil.rmtree(store.folder_of(first).parent)
    assert_refused("unknown-job", store.get, first.id)
    store.finish(first.id, FILES)  # its process has not noticed
    second = add(store)
    assert store.folder_of(second).parent.stat().st_mode & 0o777 == 0o700
    assert store.begin_next() == store.get(second.id)
    assert_refused("unknown-job", store.get, first.id)


@pytest.mark.parametrize("job_id", ["0" * 32, "", "..", "../jobs", "lock"])
def test_unknown_jobs(make_store: MakeStore, job_id: str) -> None:
    store = make_store()
    assert_refused("unknown-job", store.get, job_id)
    add(store)
    for call in (store.get, store.forget):
        assert_refused("unknown-job", call, job_id)


def test_waiting_and_running_jobs_are_bounded_in_number(make_store: MakeStore) -> None:
    store = make_store(max_jobs=2)
    first, _ = add(store), add(store)
    assert_refused("jobs-full", add, store)
    store.begin_next()
    assert_refused("jobs-full", store.check_room, 1)
    store.finish(first.id, ())
    add(store)


def test_a_job_that_arrives_counts(make_store: MakeStore) -> None:
    store = make_store(max_jobs=1)

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            assert_refused("jobs-full", store.check_room, 1)
            return super().read(size)

    store.add(Slow(NRRD), len(NRRD), Options())


def test_all_jobs_are_bounded_in_size(make_store: MakeStore) -> None:
    store = make_store(max_jobs_bytes=3 * MIN_ROOM)
    large = NRRD.ljust(2 * MIN_ROOM)
    job = add(store, large)
    assert_refused("disk-full", add, store, large)
    assert_refused("disk-full", store.check_room, 1.5 * MIN_ROOM)
    store.check_room(1)  # the rest is for one of the smallest
    store.begin_next()
    write_results(store, job)
    store.finish(job.id, FILES)
    assert store.get(job.id).room == len(large) + 3
    assert (store.folder_of(job) / "upload").exists()
    newer = add(store, large)
    assert not (store.folder_of(job) / "upload").exists()  # it made way
    assert store.result(job.id, "mask.nii.gz")
    assert_refused("disk-full", store.check_room, 1)
    assert (store.folder_of(newer) / "upload").exists()  # of a job that waits


def test_what_is_no_volume_is_not_kept(make_store: MakeStore) -> None:
    store = make_store()
    assert_refused("invalid-volume", add, store, b"neither")
    folder = store.folder_of(add(store)).parent
    assert len(list(folder.iterdir())) == 2  # the job and the lock


def test_a_full_disk_leaves_nothing(make_store: MakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store()
    folder = store.folder_of(add(store)).parent

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    assert_refused("disk-full", add, store)
    assert len(list(folder.iterdir())) == 2


def test_a_restart_goes_on(make_store: MakeStore) -> None:
    store = make_store()
    done, running, queued = add(store), add(store), add(store)
    store.begin_next()
    file = write_results(store, done)
    store.finish(done.id, FILES)
    store.begin_next()
    (file.parents[3] / "half.partial").mkdir()
    store.close()
    store = make_store()
    assert [store.get(job.id).state for job in (done, running, queued)] == ["done", "queued", "queued"]
    assert store.get(running.id).interruptions == 0  # the service ended as it should
    assert store.result(done.id, "mask.nii.gz") == file
    assert not (file.parents[3] / "half.partial").exists()
    begun = store.begin_next()
    assert begun is not None
    assert begun.id == running.id


def test_a_restart_keeps_the_order(make_store: MakeStore) -> None:
    store = make_store()
    added = [add(store).id for _ in range(8)]
    store.close()
    store = make_store()
    begun = [store.begin_next() for _ in added]
    assert [job and job.id for job in begun] == added


def test_a_volume_that_ends_the_service_three_times_is_given_up(make_store: MakeStore) -> None:
    store = make_store()
    job = add(store)
    states = []
    for _ in range(3):
        store.begin_next()
        record = (store.folder_of(job) / "job.json").read_bytes()
        store.close()
        (store.folder_of(job) / "job.json").write_bytes(record)  # as a killed service leaves it
        store = make_store()
        states.append(store.get(job.id).state)
    assert states == ["queued", "queued", "failed"]
    problem = store.get(job.id).problem
    assert problem is not None
    assert problem.code == "job-lost"
    store.close()
    assert make_store().get(job.id).state == "failed"


def test_a_folder_belongs_to_one_service(make_store: MakeStore) -> None:
    store, other = make_store(), make_store()
    job = add(store)
    for call, argument in ((other.get, job.id), (other.check_room, 1)):
        assert_refused("jobs-unavailable", call, argument)
    assert_refused("jobs-unavailable", add, other)
    store.close()
    assert other.get(job.id) == job


def test_a_folder_that_can_t_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ProblemError, match=r"the folder of jobs can't be used: Not a directory; see MIPSEG_JOBS_DIR"):
        add(JobStore(Settings(jobs_dir=tmp_path / "file/jobs")))


def test_what_has_ended_expires(make_store: MakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(job_lifetime_s=60)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(module, "_now", lambda: now)
    job, waiting = add(store), add(store)
    store.begin_next()
    store.finish(job.id, FILES)
    assert store.expires(store.get(job.id)) == now + timedelta(seconds=60)
    now += timedelta(seconds=59)
    assert store.get(job.id).state == "done"
    now += timedelta(seconds=1)
    assert_refused("unknown-job", store.get, job.id)
    assert not store.folder_of(job).exists()
    assert store.get(waiting.id).state == "queued"


def test_what_is_given_up_is_cancelled_and_what_has_ended_is_forgotten(make_store: MakeStore) -> None:
    store = make_store()
    running, queued, done = add(store), add(store), add(store)
    store.begin_next()
    for job in (running, queued):
        store.clear(store.forget(job.id))
        assert store.get(job.id).state == "cancelled"
        assert not store.folder_of(job).exists()
        store.progress(job.id, 0.5, "reading")
        store.finish(job.id, FILES)  # its process had ended just before
        assert (store.get(job.id).state, store.get(job.id).progress) == ("cancelled", 0.0)
    store.begin_next()
    store.finish(done.id, FILES)
    for job in (running, queued, done):
        store.clear(store.forget(job.id))
        assert_refused("unknown-job", store.get, job.id)
