"""V3 and V6 of the reliability plan: workers that are killed or stopped."""

import os
import random
import signal
import sqlite3
import time
from contextlib import closing
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Event

import pytest
from judge_attempts import cases_of, shifted, state, submit, wait_until
from judge_endpoints import Endpoint
from judge_processes import end, is_stopped, judge_command
from judge_running import FULL, SIZE

from mipjudge.database import Database
from mipjudge.runner import Worker
from mipjudge.sets import build_sets
from mipjudge.settings import JudgeSettings

KILLS = 20 if FULL else 5


def is_locked(db: Database) -> bool:
    """Whether somebody is writing; only SQLite locks the whole database for that."""
    if db.engine.dialect.name != "sqlite":
        return False
    with closing(sqlite3.connect(str(db.engine.url.database), timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
    return False


def send(process: BaseProcess, number: signal.Signals) -> None:
    assert process.pid is not None
    os.kill(process.pid, number)


def stand_still(db: Database, worker: BaseProcess) -> None:
    """Stop a worker; with SQLite not while it writes, which would lock everybody out until it goes on or ends."""
    while True:
        send(worker, signal.SIGSTOP)
        wait_until(lambda: is_stopped(worker))
        if not is_locked(db):
            return
        send(worker, signal.SIGCONT)
        time.sleep(0.01)


def has_more(endpoint: Endpoint, before: int) -> bool:
    return len(endpoint.bodies) > before


@pytest.mark.long
@pytest.mark.hazard("H19")
def test_v3_killed_at_random_points_no_image_is_lost_or_scored_twice(
    db: Database, settings: JudgeSettings, tmp_path: Path
) -> None:
    handler, mean = shifted(cases_of(build_sets(settings).validation), 0.05)
    chance = random.Random(3)  # noqa: S311
    settings, log = settings.model_copy(update={"lease_s": 0.6}), tmp_path / "log"
    with Endpoint(handler) as endpoint:
        team, attempt = submit(db, endpoint.url)
        for _ in range(KILLS):
            before = len(endpoint.bodies)
            with judge_command(settings, log, "work") as worker:
                wait_until(partial(has_more, endpoint, before), worker)
                time.sleep(chance.uniform(0, 0.15))
        killed = state(db, team, attempt)[0]
        assert killed.status == "running"
        with judge_command(settings, log, "work") as worker:
            wait_until(lambda: state(db, team, attempt)[0].status == "done", worker)
            assert end(worker) == 0
        asked = len(endpoint.bodies)
    found, results = state(db, team, attempt)
    assert [r.position for r in results] == list(range(SIZE))
    assert found.score == pytest.approx(mean, abs=1e-12)
    assert found.fence == KILLS + 1
    # Asked again is what was under way at a kill, and the one before if its score was not yet written.
    assert SIZE <= asked <= SIZE + 2 * KILLS
    assert "Traceback" not in log.read_text()


@pytest.mark.long
@pytest.mark.hazard("H19")
def test_v6_a_stopped_worker_is_replaced_and_its_writes_are_refused(
    db: Database, settings: JudgeSettings, tmp_path: Path
) -> None:
    handler, mean = shifted(cases_of(build_sets(settings).validation), 0.1)
    settings, log = settings.model_copy(update={"lease_s": 30.0 if FULL else 0.6}), tmp_path / "log"
    with Endpoint(handler) as endpoint, judge_command(settings, log, "work") as zombie:
        team, attempt = submit(db, endpoint.url)
        wait_until(lambda: len(endpoint.bodies) >= 3, zombie)
        stand_still(db, zombie)
        time.sleep(90 if FULL else 1)
        # With PostgreSQL it may have been stopped within a transaction, whose rows are freed after a while.
        wait_until(lambda: Worker(db, build_sets(settings), settings).run_one(Event()), seconds=20)
        found, results = state(db, team, attempt)
        assert (found.status, len(results)) == ("done", SIZE)
        send(zombie, signal.SIGCONT)
        wait_until(lambda: "attempt_lost" in log.read_text() or "judge_database" in log.read_text(), zombie)
        end(zombie)
    after, results_after = state(db, team, attempt)
    assert (after.score, after.finished_at) == (found.score, found.finished_at)
    assert found.score == pytest.approx(mean, abs=1e-12)
    assert [(r.position, r.score) for r in results_after] == [(r.position, r.score) for r in results]
