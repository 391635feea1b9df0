"""V3 and V6 of the reliability plan: workers that are killed or stopped."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from threading import Event

import pytest
from judge_attempts import cases_of, shifted, state, submit, wait_until
from judge_endpoints import Endpoint
from judge_running import FULL, SIZE, environment

from mipjudge.runner import Worker
from mipjudge.sets import build_sets

KILLS = 20 if FULL else 5


@contextmanager
def running(settings, log):
    """A worker in a process of its own, which is gone afterwards."""
    command = [sys.executable, "-m", "mipjudge.cli", "work"]
    with (
        log.open("ab") as output,
        subprocess.Popen(command, env=environment(settings), stderr=output, cwd=log.parent) as worker,
    ):
        try:
            yield worker
        finally:
            worker.kill()


def is_locked(db):
    """Whether somebody is writing; only SQLite locks the whole database for that."""
    if db.engine.dialect.name != "sqlite":
        return False
    with closing(sqlite3.connect(db.engine.url.database, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
    return False


def stand_still(db, worker):
    """Stop a worker; with SQLite not while it writes, which would lock everybody out until it goes on or ends."""
    while True:
        worker.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, worker.pid, os.WSTOPPED)
        if not is_locked(db):
            return
        worker.send_signal(signal.SIGCONT)
        time.sleep(0.01)


@pytest.mark.hazard("H19")
def test_v3_killed_at_random_points_no_image_is_lost_or_scored_twice(db, settings, tmp_path):
    handler, mean = shifted(cases_of(build_sets(settings).validation), 0.05)
    chance = random.Random(3)  # noqa: S311
    settings, log = settings.model_copy(update={"lease_s": 0.6}), tmp_path / "log"
    with Endpoint(handler) as endpoint:
        team, attempt = submit(db, endpoint.url)
        for _ in range(KILLS):
            before = len(endpoint.bodies)
            with running(settings, log) as worker:
                wait_until(lambda before=before, worker=worker: len(endpoint.bodies) > before, worker)
                time.sleep(chance.uniform(0, 0.15))
        killed = state(db, team, attempt)[0]
        assert killed.status == "running"
        with running(settings, log) as worker:
            wait_until(lambda: state(db, team, attempt)[0].status == "done", worker)
            worker.terminate()
            assert worker.wait(20) == 0
        asked = len(endpoint.bodies)
    found, results = state(db, team, attempt)
    assert [r.position for r in results] == list(range(SIZE))
    assert found.score == pytest.approx(mean, abs=1e-12)
    assert found.fence == KILLS + 1
    # Asked again is what was under way at a kill, and the one before if its score was not yet written.
    assert SIZE <= asked <= SIZE + 2 * KILLS
    assert "Traceback" not in log.read_text()


@pytest.mark.hazard("H19")
def test_v6_a_stopped_worker_is_replaced_and_its_writes_are_refused(db, settings, tmp_path):
    handler, mean = shifted(cases_of(build_sets(settings).validation), 0.1)
    settings, log = settings.model_copy(update={"lease_s": 30.0 if FULL else 0.6}), tmp_path / "log"
    with Endpoint(handler) as endpoint, running(settings, log) as zombie:
        team, attempt = submit(db, endpoint.url)
        wait_until(lambda: len(endpoint.bodies) >= 3, zombie)
        stand_still(db, zombie)
        time.sleep(90 if FULL else 1)
        # With PostgreSQL it may have been stopped within a transaction, whose rows are freed after a while.
        wait_until(lambda: Worker(db, build_sets(settings), settings).run_one(Event()), seconds=20)
        found, results = state(db, team, attempt)
        assert (found.status, len(results)) == ("done", SIZE)
        zombie.send_signal(signal.SIGCONT)
        wait_until(lambda: "attempt_lost" in log.read_text() or "judge_database" in log.read_text(), zombie)
        zombie.terminate()
        zombie.wait(20)
    after, results_after = state(db, team, attempt)
    assert (after.score, after.finished_at) == (found.score, found.finished_at)
    assert found.score == pytest.approx(mean, abs=1e-12)
    assert [(r.position, r.score) for r in results_after] == [(r.position, r.score) for r in results]
