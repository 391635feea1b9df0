"""V1, V2, V3 and V6 of the reliability plan, with fewer images and shorter waits."""

import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from threading import Event

import judge_endpoints as endpoints
import numpy as np
import pytest
from judge_endpoints import Endpoint, answer, empty_mask, mask_of, png, reply, sends
from sqlalchemy import text

from mipjudge import queue, store
from mipjudge.database import Database
from mipjudge.models import Attempt
from mipjudge.runner import Worker
from mipjudge.sets import build_sets
from mipseg.metrics import dice_score


def submit(db, url, kind="validation", name="team"):
    team = store.local_team(db, name)[0]
    return team, store.enqueue(db, team, kind, url, (100, 1000))


def state(db, team, attempt):
    found = store.find_attempt(db, team, attempt.id)
    assert found is not None
    return found, store.results_of(db, found)


def judge_all(db, settings, url, kind="validation"):
    team, attempt = submit(db, url, kind)
    assert Worker(db, build_sets(settings), settings).run_one(Event())
    return state(db, team, attempt)


def shifted(cases, delay_s=0.0):
    """An endpoint whose masks are off by some pixels: a different Dice for each picture. And the mean it should get."""
    answers, scores = {}, []
    for number, case in enumerate(cases):
        mask = np.roll(case.mask, number % 12, axis=1)
        answers[case.image.tobytes()] = reply(png(mask_of(mask)))
        scores.append(dice_score(case.mask, mask))

    def make(body):
        time.sleep(delay_s)
        return answer(answers[endpoints.picture_key(body)])

    return sends(make), math.fsum(scores) / len(scores)


def cases_of(image_set):
    return [image_set.load(position)[0] for position in range(len(image_set))]


@pytest.mark.parametrize("kind", ["validation", "evaluation"])
def test_v1_a_perfect_endpoint_is_called_once_per_image_and_scores_exactly_1(db, settings, kind):
    store.set_evaluation(db, 0)
    cases = cases_of(build_sets(settings).of(kind))
    with Endpoint(endpoints.perfect(cases)) as endpoint:
        attempt, results = judge_all(db, settings, endpoint.url, kind)
    assert (attempt.status, attempt.score, attempt.total) == ("done", 1.0, 20)
    assert len({endpoints.picture_key(body) for body in endpoint.bodies}) == len(endpoint.bodies) == 20
    assert [(r.position, r.score, r.reason) for r in results] == [(n, 1.0, None) for n in range(20)]
    assert sum(r.mask is not None for r in results) == (5 if kind == "validation" else 0)


def test_the_score_is_the_mean_dice(db, settings):
    handler, mean = shifted(cases_of(build_sets(settings).validation))
    with Endpoint(handler) as endpoint:
        attempt, _ = judge_all(db, settings, endpoint.url)
    assert 0.3 < mean < 0.9
    assert attempt.score == pytest.approx(mean, abs=1e-12)


def test_one_picture_as_a_probe_then_so_many_at_a_time(db, settings):
    lock, inside, seen = threading.Lock(), 0, []

    def make(body):
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
    assert (attempt.status, len(results), seen[0]) == ("done", 20, 1)
    assert max(seen) == 4


def test_v2_every_image_of_a_hostile_endpoint_gets_a_row(db, settings):
    faults = [
        endpoints.hang,
        endpoints.drip,
        sends(lambda _: answer(b"", "302 Found", "Location: http://127.0.0.1:1/\r\n")),
        endpoints.cut,
        sends(lambda _: answer(b"{}", "500 Oops")),
        sends(lambda _: answer(b"junk")),
        sends(lambda body: answer(empty_mask(body))),
    ]
    reasons = ["timeout", "timeout", "redirect", "cut-off", "http-status", "not-json", None]
    calls = iter(range(1000))

    def handler(endpoint, connection, body):
        faults[next(calls) % len(faults)](endpoint, connection, body)

    started = time.monotonic()
    with Endpoint(handler) as endpoint:
        attempt, results = judge_all(db, settings.model_copy(update={"deadline_s": 1.0}), endpoint.url)
    assert time.monotonic() - started < 20 * 1.0 + 6
    assert (attempt.status, attempt.score) == ("done", 0.0)
    assert [r.reason for r in results] == [reasons[n % len(reasons)] for n in range(20)]


def test_an_endpoint_that_is_down_fails_early_with_a_row_per_image(db, settings):
    with Endpoint(endpoints.hang) as endpoint:
        url = endpoint.url
    started = time.monotonic()
    attempt, results = judge_all(db, settings, url)
    assert time.monotonic() - started < 5
    assert (attempt.status, attempt.score, attempt.failure) == ("failed", None, "unreachable")
    assert [r.reason for r in results] == ["unreachable"] * 20


def test_an_endpoint_that_goes_down_later_is_scored_to_the_end(db, settings):
    cases = cases_of(build_sets(settings).validation)

    def handler(endpoint, connection, body):
        endpoints.perfect(cases)(endpoint, connection, body)
        if len(endpoint.bodies) == 3:
            endpoint.__exit__(None, None, None)

    with Endpoint(handler) as endpoint:
        attempt, results = judge_all(db, settings, endpoint.url)
    assert attempt.status == "done"
    assert attempt.score == pytest.approx(sum(r.score for r in results) / 20)
    assert 3 <= sum(r.score == 1 for r in results) <= 4


def test_another_set_than_at_the_start_fails_the_attempt(db, settings):
    team, attempt = submit(db, "http://127.0.0.1:64999/")
    job = queue.claim(db, "w", 30)
    queue.begin(db, job, "another", 3)
    queue.release(db, job)
    assert Worker(db, build_sets(settings), settings).run_one(Event())
    found, results = state(db, team, attempt)
    assert (found.status, found.failure, len(results)) == ("failed", "set-changed", 3)


def test_a_stopped_worker_gives_the_attempt_back_at_once(db, settings):
    handler, mean = shifted(cases_of(build_sets(settings).validation), 0.05)
    stop = Event()
    with Endpoint(handler) as endpoint:
        team, attempt = submit(db, endpoint.url)
        threading.Timer(0.5, stop.set).start()
        Worker(db, build_sets(settings), settings.model_copy(update={"lease_s": 600})).run_one(stop)
        found, results = state(db, team, attempt)
        assert found.status == "running"
        assert len(results) < 20
        assert Worker(db, build_sets(settings), settings).run_one(Event())
    found, results = state(db, team, attempt)
    assert (found.status, len(results), found.fence) == ("done", 20, 2)
    assert found.score == pytest.approx(mean, abs=1e-12)


def start_worker(settings, log):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MIPSEG_")}
    environment |= {
        "MIPSEG_JUDGE_DIR": str(settings.dir),
        "MIPSEG_JUDGE_DATABASE_URL": settings.database_url.get_secret_value(),
        "MIPSEG_JUDGE_DATA_DIR": str(settings.data_dir),
        "MIPSEG_JUDGE_SET_SIZE": "20",
        "MIPSEG_JUDGE_DEADLINE_S": "10",
        "MIPSEG_JUDGE_LEASE_S": "0.6",
    }
    with log.open("ab") as output:
        command = [sys.executable, "-m", "mipjudge.cli", "work"]
        return subprocess.Popen(command, env=environment, stderr=output, cwd=log.parent)


def wait_until(condition, process=None, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        assert process is None or process.poll() is None
        time.sleep(0.02)


def test_v3_killed_at_five_random_points_no_image_is_lost_or_scored_twice(db, settings, tmp_path):
    handler, mean = shifted(cases_of(build_sets(settings).validation), 0.05)
    chance = random.Random(3)  # noqa: S311
    log = tmp_path / "log"
    with Endpoint(handler) as endpoint:
        team, attempt = submit(db, endpoint.url)
        for _ in range(5):
            before = len(endpoint.bodies)
            worker = start_worker(settings, log)
            wait_until(lambda before=before: len(endpoint.bodies) > before, worker)
            time.sleep(chance.uniform(0, 0.15))
            worker.kill()
            worker.wait()
        killed = state(db, team, attempt)[0]
        assert killed.status == "running"
        worker = start_worker(settings, log)
        wait_until(lambda: state(db, team, attempt)[0].status == "done", worker)
        worker.terminate()
        assert worker.wait(20) == 0
        asked = len(endpoint.bodies)
    found, results = state(db, team, attempt)
    assert [r.position for r in results] == list(range(20))
    assert found.score == pytest.approx(mean, abs=1e-12)
    assert found.fence == 6
    assert 20 <= asked <= 25  # what was under way at a kill is asked again, and nothing else
    assert "Traceback" not in log.read_text()


def test_v6_a_stopped_worker_is_replaced_and_its_writes_are_refused(db, settings, tmp_path):
    handler, mean = shifted(cases_of(build_sets(settings).validation), 0.1)
    log = tmp_path / "log"
    with Endpoint(handler) as endpoint:
        team, attempt = submit(db, endpoint.url)
        zombie = start_worker(settings, log)
        wait_until(lambda: len(endpoint.bodies) >= 3, zombie)
        zombie.send_signal(signal.SIGSTOP)
        time.sleep(1)
        try:
            assert Worker(db, build_sets(settings), settings).run_one(Event())
            found, results = state(db, team, attempt)
            assert (found.status, len(results)) == ("done", 20)
        finally:
            zombie.send_signal(signal.SIGCONT)
        wait_until(lambda: "attempt_lost" in log.read_text(), zombie)
        zombie.terminate()
        zombie.wait(20)
    after, results_after = state(db, team, attempt)
    assert (after.score, after.finished_at) == (found.score, found.finished_at)
    assert found.score == pytest.approx(mean, abs=1e-12)
    assert [(r.position, r.score) for r in results_after] == [(r.position, r.score) for r in results]


def test_two_workers_share_twenty_teams_in_their_order(open_database, settings):
    db, sets = open_database(), build_sets(settings.model_copy(update={"set_size": 2}))
    with Endpoint(endpoints.perfect(cases_of(sets.validation))) as endpoint:
        attempts = [submit(db, endpoint.url, name=f"team {number}")[1].id for number in range(20)]
        stop = Event()
        workers = [Worker(open_database(), sets, settings) for _ in range(2)]
        threads = [threading.Thread(target=worker.run, args=(stop,)) for worker in workers]
        for thread in threads:
            thread.start()

        def open_attempts():
            with db.read() as session:
                return session.execute(text("SELECT count(*) FROM attempts WHERE status <> 'done'")).scalar_one()

        wait_until(lambda: open_attempts() == 0)
        stop.set()
        for thread in threads:
            thread.join()
    with db.read() as session:
        found = {attempt.id: attempt for attempt in session.query(Attempt)}
    started = [found[attempt].started_at for attempt in attempts]
    # PostgreSQL's workers claim side by side, so two neighbours may swap by the time of a claim.
    assert all(later > earlier - 0.05 for earlier, later in pairwise(started))
    assert len({attempt.worker for attempt in found.values()}) == 2
    assert all(attempt.fence == 1 for attempt in found.values())


def test_a_database_that_is_away_is_waited_for(settings, tmp_path):
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
