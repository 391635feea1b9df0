"""V3 and V6 of the reliability plan: workers that are killed or stopped."""

import random
import signal
import subprocess
import sys
import time
from threading import Event

import pytest
from judge_attempts import cases_of, shifted, state, submit, wait_until
from judge_endpoints import Endpoint
from judge_running import FULL, SIZE, environment

from mipjudge.runner import Worker
from mipjudge.sets import build_sets

KILLS = 20 if FULL else 5


def start_worker(settings, log):
    with log.open("ab") as output:
        command = [sys.executable, "-m", "mipjudge.cli", "work"]
        return subprocess.Popen(command, env=environment(settings), stderr=output, cwd=log.parent)


def test_v3_killed_at_random_points_no_image_is_lost_or_scored_twice(db, settings, tmp_path):
    handler, mean = shifted(cases_of(build_sets(settings).validation), 0.05)
    chance = random.Random(3)  # noqa: S311
    settings, log = settings.model_copy(update={"lease_s": 0.6}), tmp_path / "log"
    with Endpoint(handler) as endpoint:
        team, attempt = submit(db, endpoint.url)
        for _ in range(KILLS):
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
    assert [r.position for r in results] == list(range(SIZE))
    assert found.score == pytest.approx(mean, abs=1e-12)
    assert found.fence == KILLS + 1
    # Asked again is what was under way at a kill, and the one before if its score was not yet written.
    assert SIZE <= asked <= SIZE + 2 * KILLS
    assert "Traceback" not in log.read_text()


def test_v6_a_stopped_worker_is_replaced_and_its_writes_are_refused(db, settings, tmp_path):
    handler, mean = shifted(cases_of(build_sets(settings).validation), 0.1)
    settings, log = settings.model_copy(update={"lease_s": 30.0 if FULL else 0.6}), tmp_path / "log"
    with Endpoint(handler) as endpoint:
        team, attempt = submit(db, endpoint.url)
        zombie = start_worker(settings, log)
        wait_until(lambda: len(endpoint.bodies) >= 3, zombie)
        zombie.send_signal(signal.SIGSTOP)
        time.sleep(90 if FULL else 1)
        try:
            # It may have been stopped within a transaction, whose rows the database then frees after a while.
            wait_until(lambda: Worker(db, build_sets(settings), settings).run_one(Event()), seconds=20)
            found, results = state(db, team, attempt)
            assert (found.status, len(results)) == ("done", SIZE)
        finally:
            zombie.send_signal(signal.SIGCONT)
        wait_until(lambda: "attempt_lost" in log.read_text() or "judge_database" in log.read_text(), zombie)
        zombie.terminate()
        zombie.wait(20)
    after, results_after = state(db, team, attempt)
    assert (after.score, after.finished_at) == (found.score, found.finished_at)
    assert found.score == pytest.approx(mean, abs=1e-12)
    assert [(r.position, r.score) for r in results_after] == [(r.position, r.score) for r in results]
