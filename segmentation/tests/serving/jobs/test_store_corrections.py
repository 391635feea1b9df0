"""Jobs on disk whose mask is corrected: their turn, their results, restarts, and what can't be corrected."""

from pathlib import Path

import pytest

from mipseg.serving.jobs.job import Job
from mipseg.serving.jobs.store import MIN_ROOM, JobStore
from mipseg.settings import Settings
from tests.serving.jobs.test_store import (
    CORRECTABLE,
    PROBLEM,
    MakeStore,
    add,
    add_done,
    assert_refused,
    write_results,
)


@pytest.fixture
def make_store(tmp_path: Path) -> MakeStore:
    return lambda **settings: JobStore(Settings(jobs_dir=tmp_path / "data/jobs", **settings))


def contents(store: JobStore, job: Job) -> set[str]:
    return {path.name for path in store.folder_of(job).iterdir()}


def add_begun(store: JobStore) -> Job:
    """A job whose correction has begun."""
    done = add_done(store)
    store.correct(done.id, b"mask")
    store.begin_next()
    return done


def test_a_corrected_job_has_its_turn_again_and_new_results(make_store: MakeStore) -> None:
    store = make_store()
    done, waiting = add_done(store), add(store)
    for number in (1, 2):
        corrected = store.correct(done.id, b"mask")
        assert (corrected.state, corrected.progress, corrected.ended) == ("queued", 0.0, None)
        assert store.expires(corrected) is None
        assert (store.folder_of(done) / "correction.png").read_bytes() == b"mask"
        assert_refused("job-not-done", store.result, done.id, "mask.nii.gz")
        assert_refused("job-not-done", store.correct, done.id, b"another")
        begun = store.begin_next()
        assert begun is not None
        assert (begun.id, begun.results) == (done.id, f"results-{number}")
        file = write_results(store, done, number)
        store.finish(done.id, CORRECTABLE)
        assert (store.get(done.id).state, store.get(done.id).corrections) == ("done", number)
        assert store.result(done.id, "mask.nii.gz") == file
        assert contents(store, done) == {"job.json", "upload", f"results-{number}"}
        assert store.get(done.id).room == MIN_ROOM
    assert store.get(waiting.id).state == "queued"


def test_a_correction_that_fails_leaves_the_results_from_before(make_store: MakeStore) -> None:
    store = make_store()
    done = add_begun(store)
    write_results(store, done, 1)
    store.finish(done.id, (), PROBLEM)
    found = store.get(done.id)
    assert (found.state, found.corrections, found.problem, found.files) == ("done", 0, PROBLEM, CORRECTABLE)
    assert store.result(done.id, "mask.nii.gz").read_bytes() == b"abc"
    assert contents(store, done) == {"job.json", "upload", "results-0"}
    assert store.correct(done.id, b"mask").problem is None


def test_a_restart_goes_on_with_a_correction(make_store: MakeStore) -> None:
    store = make_store()
    done = add_begun(store)
    record = (store.folder_of(done) / "job.json").read_bytes()
    store.close()
    for interruptions in (1, 2):
        (store.folder_of(done) / "job.json").write_bytes(record)  # as a killed service leaves it
        store = make_store()
        found = store.get(done.id)
        assert (found.state, found.corrections, found.interruptions) == ("queued", 1, interruptions)
        store.begin_next()
        record = (store.folder_of(done) / "job.json").read_bytes()
        store.close()
    (store.folder_of(done) / "job.json").write_bytes(record)
    found = make_store().get(done.id)  # given up: it has its earlier results
    assert (found.state, found.corrections, found.files) == ("done", 0, CORRECTABLE)
    assert found.problem is not None
    assert found.problem.code == "job-lost"


def test_corrections_count_among_the_jobs_that_wait(make_store: MakeStore) -> None:
    store = make_store(max_jobs=1)
    done = add_done(store)
    add(store)
    assert_refused("jobs-full", store.correct, done.id, b"mask")
    assert store.get(done.id).state == "done"


def test_a_correction_ends_with_its_job(make_store: MakeStore) -> None:
    store = make_store()
    done = add_begun(store)
    store.clear(store.forget(done.id))
    store.finish(done.id, CORRECTABLE)  # its process had ended just before
    assert store.get(done.id).state == "cancelled"
    assert not store.folder_of(done).exists()
    assert_refused("job-not-done", store.correct, done.id, b"mask")


def test_only_a_volume_of_which_all_is_there_can_be_corrected(make_store: MakeStore) -> None:
    store = make_store()
    image, hidden, gone = add_done(store, "image"), add_done(store), add_done(store)
    (store.folder_of(hidden) / "results-0/upload/measurements.json").write_text('{"kind": "dicom", "files": []}')
    (store.folder_of(gone) / "upload").unlink()
    for job in (image, hidden, gone):
        assert_refused("job-not-correctable", store.correct, job.id, b"mask")
        assert store.get(job.id) == job
