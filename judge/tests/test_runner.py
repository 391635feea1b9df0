"""A worker in this process, with V1 and V2 of the reliability plan; see `test_killed.py` for V3 and V6."""

import socket
import threading
import time
from itertools import pairwise
from pathlib import Path
from threading import Event

import judge_endpoints as endpoints
import pytest
from judge_attempts import cases_of, claimed, judge_all, shifted, state, submit, wait_until
from judge_endpoints import Endpoint, answer, empty_mask, sends
from judge_running import FULL, SIZE, OpenDatabase
from sqlalchemy import func, select, text

from mipjudge import attempt_queue, store
from mipjudge.database import Database
from mipjudge.models import Attempt, Result
from mipjudge.runner import Worker
from mipjudge.sets import build_sets
from mipjudge.settings import JudgeSettings
from mipjudge.target import AddressPolicy
from tests.memory import growth_below


@pytest.mark.parametrize("kind", ["validation", "evaluation"])
def test_v1_a_perfect_endpoint_is_called_once_per_image_and_scores_exactly_1(
    db: Database, settings: JudgeSettings, kind: str
) -> None:
    store.set_evaluation(db, 0)
    cases = cases_of(build_sets(settings).of(kind))
    with Endpoint(endpoints.perfect(cases)) as endpoint:
        attempt, results = judge_all(db, settings, endpoint.url, kind)
    assert (attempt.status, attempt.score, attempt.total) == ("done", 1.0, SIZE)
    assert len({endpoints.image_key(body) for body in endpoint.bodies}) == len(endpoint.bodies) == SIZE
    assert [(r.position, r.score, r.reason) for r in results] == [(n, 1.0, None) for n in range(SIZE)]
    with db.read() as session:
        kept = session.scalar(select(func.count()).select_from(Result).where(Result.mask.is_not(None)))
    assert kept == (5 if kind == "validation" else 0)


def test_the_score_is_the_mean_dice(db: Database, settings: JudgeSettings) -> None:
    handler, mean = shifted(cases_of(build_sets(settings).validation))
    with Endpoint(handler) as endpoint:
        attempt, _ = judge_all(db, settings, endpoint.url)
    assert 0.3 < mean < 0.9
    assert attempt.score == pytest.approx(mean, abs=1e-12)


def test_one_image_as_a_probe_then_so_many_at_a_time(db: Database, settings: JudgeSettings) -> None:
    lock, inside = threading.Lock(), 0
    seen: list[int] = []

    def make(body: bytes) -> bytes:
        nonlocal inside
        with lock:
            inside += 1
            seen.append(inside)
        time.sleep(0.05)
        with lock:
            inside -= 1
        return answer(empty_mask(body))

    with Endpoint(sends(make)) as endpoint:
        attempt, results = judge_all(db, settings.model_copy(update={"concurrency": 4}), endpoint.url)
    assert (attempt.status, len(results), seen[0]) == ("done", SIZE, 1)
    assert max(seen) == 4


@pytest.mark.long
def test_v2_every_image_of_a_hostile_endpoint_gets_a_row(db: Database, settings: JudgeSettings) -> None:
    endpoints.gzip_bomb()  # made before memory is measured
    faults = list(endpoints.FAULTS.values())
    count, deadline_s = -2, 10.0 if FULL else 3.0  # a busy machine may take a second for a sound answer

    def resolver(
        host: str, _: int
    ) -> list[str]:  # is asked once for `/api`, then for each image; the thirteenth answer is a sound one
        nonlocal count
        count += 1
        return ["127.0.0.77" if count % 13 == 11 else "127.0.0.1"]

    def handler(endpoint: Endpoint, connection: socket.socket, body: bytes) -> None:
        turn = count % 13
        (sends(lambda body: answer(empty_mask(body))) if turn == 12 else faults[turn][0])(endpoint, connection, body)

    started = time.monotonic()
    with growth_below(100), Endpoint(handler) as endpoint:
        team, attempt = submit(db, f"http://hostile.example:{endpoint.port}/predict")
        settings = settings.model_copy(update={"deadline_s": deadline_s, "lease_s": 30.0})
        policy = AddressPolicy(settings.allowed_networks, resolver)
        assert Worker(db, build_sets(settings), settings, policy).run_one(Event())
    found, results = state(db, team, attempt)
    assert time.monotonic() - started < SIZE * deadline_s + 60
    assert (found.status, found.score) == ("done", 0.0)
    reasons = [*(reason for _, reason in faults), "unreachable", None]
    assert [result.reason for result in results] == [reasons[n % 13] for n in range(SIZE)]


def test_an_endpoint_that_is_down_fails_early_with_a_row_per_image(db: Database, settings: JudgeSettings) -> None:
    with Endpoint(endpoints.hang) as endpoint:
        url = endpoint.url
    started = time.monotonic()
    attempt, results = judge_all(db, settings, url)
    assert time.monotonic() - started < 5
    assert (attempt.status, attempt.score, attempt.failure) == ("failed", None, "unreachable")
    assert [r.reason for r in results] == ["unreachable"] * SIZE


def test_an_endpoint_that_goes_down_later_is_scored_to_the_end(db: Database, settings: JudgeSettings) -> None:
    cases = cases_of(build_sets(settings).validation)

    def handler(endpoint: Endpoint, connection: socket.socket, body: bytes) -> None:
        if len(endpoint.bodies) == 3:  # no more connections; this one is still answered
            endpoint.__exit__(None, None, None)
        endpoints.perfect(cases)(endpoint, connection, body)

    with Endpoint(handler) as endpoint:
        attempt, results = judge_all(db, settings, endpoint.url)
    assert attempt.status == "done"
    assert attempt.score == pytest.approx(sum(r.score for r in results) / SIZE)
    assert [r.reason for r in results] == [None] * 3 + ["unreachable"] * (SIZE - 3)


def test_another_set_than_at_the_start_fails_the_attempt(db: Database, settings: JudgeSettings) -> None:
    team, attempt = submit(db, "http://127.0.0.1:64999/")
    claim = claimed(db)
    attempt_queue.begin(db, claim, attempt_queue.Images("another", 3))
    attempt_queue.release(db, claim)
    assert Worker(db, build_sets(settings), settings).run_one(Event())
    found, results = state(db, team, attempt)
    assert (found.status, found.failure, len(results)) == ("failed", "set-changed", 3)


def test_a_stopped_worker_gives_the_attempt_back_at_once(db: Database, settings: JudgeSettings) -> None:
    handler, mean = shifted(cases_of(build_sets(settings).validation), 0.05)
    stop = Event()
    with Endpoint(handler) as endpoint:
        team, attempt = submit(db, endpoint.url)
        threading.Timer(0.5, stop.set).start()
        Worker(db, build_sets(settings), settings.model_copy(update={"lease_s": 600})).run_one(stop)
        found, results = state(db, team, attempt)
        assert found.status == "running"
        assert len(results) < SIZE
        assert Worker(db, build_sets(settings), settings).run_one(Event())
    found, results = state(db, team, attempt)
    assert (found.status, len(results), found.fence) == ("done", SIZE, 2)
    assert found.score == pytest.approx(mean, abs=1e-12)


@pytest.mark.long
def test_an_image_that_takes_longer_than_the_lease_keeps_its_worker(
    open_database: OpenDatabase, settings: JudgeSettings
) -> None:
    settings = settings.model_copy(update={"lease_s": 1.2, "set_size": 2})
    handler, mean = shifted(cases_of(build_sets(settings).validation), 2.0)
    db, stop = open_database(), Event()
    with Endpoint(handler) as endpoint:
        team, attempt = submit(db, endpoint.url)
        threads = [
            threading.Thread(target=Worker(open_database(), build_sets(settings), settings).run, args=(stop,))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        wait_until(lambda: state(db, team, attempt)[0].status == "done")
        stop.set()
        for thread in threads:
            thread.join()
    found, _ = state(db, team, attempt)
    assert (found.fence, len(endpoint.bodies)) == (1, 2)
    assert found.score == pytest.approx(mean, abs=1e-12)


def test_two_workers_share_twenty_teams_in_their_order(open_database: OpenDatabase, settings: JudgeSettings) -> None:
    db, sets = open_database(), build_sets(settings.model_copy(update={"set_size": 2}))
    with Endpoint(endpoints.perfect(cases_of(sets.validation))) as endpoint:
        attempts = [submit(db, endpoint.url, name=f"team {number}")[1].id for number in range(20)]
        stop = Event()
        unhurried = settings.model_copy(update={"lease_s": 60.0})  # on a busy machine nobody's lease ends either
        workers = [Worker(open_database(), sets, unhurried) for _ in range(2)]
        threads = [threading.Thread(target=worker.run, args=(stop,)) for worker in workers]
        for thread in threads:
            thread.start()

        def open_attempts() -> int:
            with db.read() as session:
                query = text("SELECT count(*) FROM attempts WHERE status <> 'done'")
                return int(session.execute(query).scalar_one())

        wait_until(lambda: open_attempts() == 0)
        stop.set()
        for thread in threads:
            thread.join()
    with db.read() as session:
        found = {attempt.id: attempt for attempt in session.query(Attempt)}
    started = [found[attempt].started_at or 0.0 for attempt in attempts]
    assert all(started)
    # PostgreSQL's workers claim side by side, so two neighbours may swap by the time of a claim.
    assert all(later > earlier - 0.05 for earlier, later in pairwise(started))
    assert len({attempt.worker for attempt in found.values()}) == 2
    assert all(attempt.fence == 1 for attempt in found.values())


def test_a_database_that_is_away_is_waited_for(settings: JudgeSettings, tmp_path: Path) -> None:
    if not settings.sqlalchemy_url.startswith("sqlite"):
        pytest.skip("the lock of the whole database is SQLite's")
    db = Database(settings.sqlalchemy_url, lock_wait_s=0.2)
    stop = Event()
    with Endpoint(endpoints.perfect(cases_of(build_sets(settings).validation))) as endpoint:
        team, attempt = submit(db, endpoint.url)
        thread = threading.Thread(target=Worker(db, build_sets(settings), settings).run, args=(stop,))
        blocker = Database(settings.sqlalchemy_url)
        with blocker.write() as session:
            session.execute(text("SELECT 1"))  # the lock is taken with the first statement
            thread.start()
            time.sleep(1)
            assert state(db, team, attempt)[0].status == "queued"
        wait_until(lambda: state(db, team, attempt)[0].status == "done")
        stop.set()
        thread.join()
    assert state(db, team, attempt)[0].score == 1.0
    for one in (db, blocker):
        one.close()
