"""V5 of the reliability plan: the database is locked or its disk is full; and a judge that can't start at all."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from judge_running import BASE, FULL, Running, assert_problem
from sqlalchemy import text

from mipjudge import database, store
from mipjudge.app import create_app
from mipjudge.database import Database
from mipjudge.settings import JudgeSettings


@pytest.mark.long
def test_v5_a_locked_database_is_waited_for_and_then_503(
    settings: JudgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not settings.sqlalchemy_url.startswith("sqlite"):
        pytest.skip("the lock of the whole database is SQLite's")
    second = 1.0 if FULL else 0.2
    monkeypatch.setattr("mipjudge.service.Database", lambda url: Database(url, database.LOCK_WAIT_S * second))
    url = "http://127.0.0.1:64999/"
    with Running(settings.model_copy(update={"workers": 0})) as judge, ThreadPoolExecutor(1) as pool:
        headers = judge.team()
        with judge.db.write() as session:
            session.execute(text("SELECT 1"))  # the lock is taken with the first statement
            waiting = pool.submit(judge.queue, url, headers)
            time.sleep(5 * second)
            assert not waiting.done()
        assert waiting.result().status_code == 200
        with judge.db.write() as session:
            session.execute(text("SELECT 1"))
            started = time.monotonic()
            response = judge.queue(url, headers)
            assert time.monotonic() - started < 10 * second + 5
            assert_problem(response, 503, "database-unavailable")
            assert response.headers["retry-after"]
            assert judge.client.get(f"{BASE}/status", headers=headers).status_code == 200
        assert judge.queue(url, headers).status_code == 200


def test_v5_a_full_disk_is_503_and_the_jobs_stay_queued(
    settings: JudgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not settings.sqlalchemy_url.startswith("sqlite"):
        pytest.skip("the file is SQLite's")
    url = "http://127.0.0.1:64999/" + "x" * 2000
    queueing = settings.model_copy(update={"workers": 0, "max_waiting": 1000, "validations_per_hour": 1000})
    roomy = Database(settings.sqlalchemy_url)
    token = store.local_team(roomy, "team")[1]
    roomy.close()
    prepare = database._prepare_sqlite

    def prepare_full(connection: Any, lock_wait_s: float) -> None:
        prepare(connection, lock_wait_s)
        connection.execute("PRAGMA max_page_count = 1")  # as large as it is now, and no larger

    with monkeypatch.context() as patch:
        patch.setattr(database, "_prepare_sqlite", prepare_full)
        with Running(queueing) as judge:
            headers = {"x-token": token}
            answers = [judge.queue(url, headers) for _ in range(30)]
            assert {answer.status_code for answer in answers} <= {200, 503}
            assert_problem(answers[-1], 503, "database-unavailable")
    accepted = [answer.json()["queued_attempt_uuid"] for answer in answers if answer.status_code == 200]
    with Running(settings) as judge:
        assert judge.queue(url, judge.team()).status_code == 200
        for uuid in accepted:
            assert judge.wait(uuid, judge.team())["attempt"]["errors"] == ["unreachable: nobody answers at the URL"]


def test_a_judge_that_cannot_start_takes_nothing_else_down(settings: JudgeSettings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    broken = settings.model_copy(update={"dir": tmp_path / "file", "database_url": type(settings.database_url)("")})
    config = uvicorn.Config(create_app(broken), host="127.0.0.1", port=0, log_config=None, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while thread.is_alive() and not server.started:
        time.sleep(0.01)
    base = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    assert httpx.get(f"{base}/livez").status_code == 200
    assert_problem(httpx.get(f"{base}/api/v1/scoreboard"), 503, "judge-unavailable")
    server.should_exit = True
    thread.join(15)
