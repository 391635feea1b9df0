import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Barrier

import pytest
from judge_attempts import claimed
from judge_running import OpenDatabase
from sqlalchemy import text
from sqlalchemy.orm import Session

from mipjudge import attempt_queue, store
from mipjudge.database import Database, _prepare_sqlite


def waits_for_the_disk(session: Session) -> bool:
    if session.get_bind().dialect.name == "sqlite":
        return bool(session.execute(text("PRAGMA synchronous")).scalar_one() == 2)  # FULL
    return bool(session.execute(text("SHOW synchronous_commit")).scalar_one() == "on")


def test_a_write_waits_for_the_disk_unless_told_not_to(db: Database) -> None:
    for synced in (True, False, True):  # on one connection after another, or on the same one
        with db.write(synced=synced) as session:
            assert waits_for_the_disk(session) is synced


def test_only_the_score_of_an_image_may_be_lost_in_a_power_cut(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    lasting: list[bool] = []
    write = db.write

    def noted(*, synced: bool = True) -> AbstractContextManager[Session]:
        lasting.append(synced)
        return write(synced=synced)

    monkeypatch.setattr(db, "write", noted)
    team, _ = store.make_team(db, "a")
    store.enqueue(db, team, "validation", "http://127.0.0.1:64999/", (1, 1))
    claim = claimed(db)
    attempt_queue.begin(db, claim, attempt_queue.Images("set", 1))
    assert all(lasting)
    attempt_queue.save(db, claim, 0, attempt_queue.Scored(1.0), 30)
    assert lasting.pop() is False
    attempt_queue.finish(db, claim)
    assert all(lasting)


def test_what_is_written_without_waiting_is_seen_by_others(open_database: OpenDatabase) -> None:
    one, other = open_database(), open_database()
    _, token = store.make_team(one, "a")
    with one.write(synced=False) as session:
        session.execute(text("UPDATE teams SET verified_at = 7"))
    found = store.find_team(other, token)
    assert found is not None
    assert found.verified_at == 7


@pytest.mark.parametrize("synced", [True, False])
def test_an_error_takes_a_write_back(db: Database, synced: bool) -> None:
    _, token = store.make_team(db, "a")

    def fail() -> None:
        with db.write(synced=synced) as session:
            session.execute(text("UPDATE teams SET verified_at = 7"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    found = store.find_team(db, token)
    assert found is not None
    assert found.verified_at == 0


def test_connections_that_open_a_new_file_at_once_wait_for_each_other(tmp_path: Path) -> None:
    together = Barrier(4)

    def opened(file: Path) -> str:
        connection = sqlite3.connect(file, timeout=8)
        together.wait()
        _prepare_sqlite(connection, 8)
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        connection.close()
        return str(mode)

    with ThreadPoolExecutor(4) as pool:
        for number in range(50):  # without waiting, about one in ten of them fails
            assert list(pool.map(opened, [tmp_path / f"{number}.sqlite"] * 4)) == ["wal"] * 4


def test_another_error_than_a_lock_is_not_waited_for() -> None:
    class Broken:
        modes = 0

        def execute(self, statement: str) -> None:
            if "journal_mode" in statement:
                self.modes += 1
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR
                raise error

    broken = Broken()
    with pytest.raises(sqlite3.OperationalError, match="disk"):
        _prepare_sqlite(broken, 8)
    assert broken.modes == 1
