"""Attempts that share a worker: turns between images, endpoints that hang, cancelled ones, and a full disk."""

import errno
import socket
import threading
import time
from itertools import groupby
from pathlib import Path
from threading import Event
from typing import Any

import judge_endpoints as endpoints
import numpy as np
import numpy.typing as npt
import pytest
from judge_attempts import cases_of, claimed, judge_all, state, submit, wait_until
from judge_endpoints import Endpoint, answer, empty_mask, hang, sends
from judge_running import BASE, SIZE, Running, assert_problem

from mipjudge import attempt_queue, runner, sets, store
from mipjudge.attempt_queue import Images
from mipjudge.database import Database
from mipjudge.errors import EvaluationUsedError, LeaseLostError
from mipjudge.models import Attempt, Team
from mipjudge.runner import Worker
from mipjudge.sets import build_sets
from mipjudge.settings import JudgeSettings

LIMITS = (5, 100)


def work_until_over(worker: Worker, db: Database, attempts: list[tuple[Team, Attempt]]) -> None:
    stop = Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    wait_until(lambda: all(state(db, *one)[0].status in ("done", "failed") for one in attempts))
    stop.set()
    thread.join()


def test_images_of_different_teams_take_turns(db: Database, settings: JudgeSettings) -> None:
    settings = settings.model_copy(update={"set_size": 8})
    order: list[str] = []
    both = Event()

    def make(name: str) -> endpoints.Handler:
        def reply(body: bytes) -> bytes:
            if not order:  # the other attempt is claimed meanwhile
                both.wait(10)
            order.append(name)
            return answer(empty_mask(body))

        return sends(reply)

    with Endpoint(make("a")) as first, Endpoint(make("b")) as second:
        attempts = [submit(db, first.url, name="a"), submit(db, second.url, name="b")]

        def release_when_both_run() -> None:
            wait_until(lambda: all(state(db, *one)[0].status == "running" for one in attempts))
            time.sleep(0.3)
            both.set()

        threading.Thread(target=release_when_both_run).start()
        work_until_over(Worker(db, build_sets(settings), settings), db, attempts)
    assert sorted(order) == ["a"] * 8 + ["b"] * 8
    runs = [len(list(run)) for _, run in groupby(order)]
    # Who is not ready when a turn comes, such as on a busy machine, lets the other go first; without turns it is 8.
    assert max(runs[:-1]) <= 5


@pytest.mark.long
def test_an_endpoint_that_times_out_five_times_in_a_row_holds_up_nobody(db: Database, settings: JudgeSettings) -> None:
    settings = settings.model_copy(update={"deadline_s": 0.5})
    cases = cases_of(build_sets(settings).validation)
    with Endpoint(hang) as stuck, Endpoint(endpoints.perfect(cases)) as good:
        attempts = [submit(db, stuck.url, name="stuck"), submit(db, good.url, name="good")]
        started = time.monotonic()
        work_until_over(Worker(db, build_sets(settings), settings), db, attempts)
        assert time.monotonic() - started < SIZE * 0.5 + 5
    (failed, results), (done, _) = (state(db, *one) for one in attempts)
    assert (failed.status, failed.failure, failed.score) == ("failed", "timeout", None)
    assert 5 <= len(stuck.bodies) <= 6  # the next is sent while a score is written
    assert [(result.score, result.reason) for result in results] == [(0.0, "timeout")] * SIZE
    assert (done.status, done.score) == ("done", 1.0)


@pytest.mark.long
def test_four_time_outs_in_a_row_do_not_end_an_attempt(db: Database, settings: JudgeSettings) -> None:
    settings = settings.model_copy(update={"deadline_s": 0.4, "set_size": 10})

    def handler(endpoint: Endpoint, connection: socket.socket, body: bytes) -> None:
        slow = len(endpoint.bodies) % 5 != 0
        (hang if slow else sends(lambda body: answer(empty_mask(body))))(endpoint, connection, body)

    with Endpoint(handler) as endpoint:
        attempt, results = judge_all(db, settings, endpoint.url)
    assert (attempt.status, attempt.score) == ("done", 0.0)
    assert [result.reason for result in results] == (["timeout"] * 4 + [None]) * 2


def test_a_full_disk_while_a_phantom_is_drawn_puts_the_attempt_back(
    db: Database, settings: JudgeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.model_copy(update={"data_dir": tmp_path / "none", "set_size": 3})
    store.set_evaluation(db, 0)
    write, full = sets._write, Event()
    full.set()

    def write_or_not(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
        if full.is_set() and len(list(path.parent.glob("*.png"))) >= 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, pixels)

    monkeypatch.setattr(sets, "_write", write_or_not)
    monkeypatch.setattr(runner, "_DISK_S", 0.2)
    with Endpoint(sends(lambda body: answer(empty_mask(body)))) as endpoint:
        one = submit(db, endpoint.url, "evaluation")
        assert Worker(db, build_sets(settings), settings).run_one(Event())
        attempt, results = state(db, *one)
        assert (attempt.status, attempt.failure, len(results)) == ("queued", None, 1)
        full.clear()
        work_until_over(Worker(db, build_sets(settings), settings), db, [one])
    attempt, results = state(db, *one)
    assert (attempt.status, attempt.score, len(results), len(endpoint.bodies)) == ("done", 0.0, 3, 3)


def test_a_write_that_is_under_way_ends_before_the_attempt_is_given_back(
    db: Database, settings: JudgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    stop, save, release = Event(), attempt_queue.save, attempt_queue.release

    def slow_save(*arguments: Any) -> None:
        stop.set()
        time.sleep(0.5)
        save(*arguments)
        events.append("save")

    def noted_release(*arguments: Any) -> None:
        release(*arguments)
        events.append("release")

    monkeypatch.setattr(attempt_queue, "save", slow_save)
    monkeypatch.setattr(attempt_queue, "release", noted_release)
    with Endpoint(sends(lambda body: answer(empty_mask(body)))) as endpoint:
        one = submit(db, endpoint.url)
        Worker(db, build_sets(settings), settings).run_one(stop)
    assert (events[0], events[-1]) == ("save", "release")
    attempt, results = state(db, *one)
    assert (attempt.lease_until, len(results)) == (0.0, events.count("save"))


def test_a_queued_attempt_is_cancelled(idle: Running) -> None:
    headers = idle.team()
    uuid = idle.queue("http://127.0.0.1:64999/", headers).json()["queued_attempt_uuid"]
    path = f"{BASE}/validate/queue/{uuid}"
    assert_problem(idle.client.delete(path, headers=idle.team("other")), 404, "unknown-attempt")
    assert_problem(idle.client.delete(path.replace("validate", "evaluate"), headers=headers), 404, "unknown-attempt")
    cancelled = idle.client.delete(path, headers=headers)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "failed")
    assert cancelled.json()["attempt"]["errors"] == ["cancelled: the attempt was cancelled"]
    assert idle.client.get(path, headers=headers).json() == cancelled.json()
    assert_problem(idle.client.delete(path, headers=headers), 409, "attempt-over")
    assert attempt_queue.claim_next(idle.db, "w", 30) is None


def test_a_running_attempt_is_cancelled_and_its_worker_goes_on_with_the_next(judge: Running) -> None:
    headers = judge.team()
    with Endpoint(hang) as stuck, Endpoint(sends(lambda body: answer(empty_mask(body)))) as good:
        first, second = (judge.queue(one.url, headers).json()["queued_attempt_uuid"] for one in (stuck, good))
        wait_until(lambda: len(stuck.bodies) == 1)
        assert judge.client.delete(f"{BASE}/validate/queue/{first}", headers=headers).json()["status"] == "failed"
        assert judge.wait(second, headers)["status"] == "done"
        assert len(stuck.bodies) == 1
    assert judge.wait(first, headers)["attempt"]["errors"] == ["cancelled: the attempt was cancelled"]


def test_a_cancelled_evaluation_is_used_only_if_it_had_begun(db: Database) -> None:
    store.set_evaluation(db, 0)
    team, first = submit(db, "http://127.0.0.1:64999/", "evaluation")
    with pytest.raises(EvaluationUsedError):
        store.check(db, team, "evaluation", LIMITS)
    assert attempt_queue.cancel(db, first.id)
    assert not store.has_evaluated(db, team)
    second = store.enqueue(db, team, "evaluation", "http://127.0.0.1:64999/", LIMITS)
    with pytest.raises(EvaluationUsedError):  # it would be the team's second
        attempt_queue.requeue(db, first.id)
    claim = claimed(db)
    attempt_queue.begin(db, claim, Images("set", 2))
    assert attempt_queue.cancel(db, second.id)
    assert not attempt_queue.cancel(db, second.id)
    with pytest.raises(LeaseLostError):
        attempt_queue.renew_lease(db, claim, 30)
    assert store.has_evaluated(db, team)
    with pytest.raises(EvaluationUsedError):
        store.enqueue(db, team, "evaluation", "http://127.0.0.1:64999/", LIMITS)
