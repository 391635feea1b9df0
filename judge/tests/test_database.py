import sqlite3
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import text

from mipjudge import attempt_queue, store
from mipjudge.database import _prepare_sqlite


def waits_for_the_disk(session):
    if session.get_bind().dialect.name == "sqlite":
        return session.execute(text("PRAGMA synchronous")).scalar_one() == 2  # FULL
    return session.execute(text("SHOW synchronous_commit")).scalar_one() == "on"


def test_a_write_waits_for_the_disk_unless_told_not_to(db):
    for synced in (True, False, True):  # on one connection after another, or on the same one
        with db.write(synced=synced) as session:
            assert waits_for_the_disk(session) is synced


def test_only_the_score_of_an_image_may_be_lost_in_a_power_cut(db, monkeypatch):
    lasting, write = [], db.write

    def noted(*, synced=True):
        lasting.append(synced)
        return write(synced=synced)

    monkeypatch.setattr(db, "write", noted)
    team, _ = store.make_team(db, "a")
    store.enqueue(db, team, "validation", "http://127.0.0.1:64999/", (1, 1))
    job = attempt_queue.claim(db, "w", 30)
    attempt_queue.begin(db, job, "set", 1)
    assert all(lasting)
    attempt_queue.save(db, job, 0, attempt_queue.Scored(1.0), 30)
    assert lasting.pop() is False
    attempt_queue.finish(db, job)
    assert all(lasting)


def test_what_is_written_without_waiting_is_seen_by_others(open_database):
    one, other = open_database(), open_database()
    _, token = store.make_team(one, "a")
    with one.write(synced=False) as session:
        session.execute(text("UPDATE teams SET verified_at = 7"))
    assert store.find_team(other, token).verified_at == 7


@pytest.mark.parametrize("synced", [True, False])
def test_an_error_takes_a_write_back(db, synced):
    _, token = store.make_team(db, "a")

    def fail():
        with db.write(synced=synced) as session:
            session.execute(text("UPDATE teams SET verified_at = 7"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert store.find_team(db, token).verified_at == 0


def test_connections_that_open_a_new_file_at_once_wait_for_each_other(tmp_path):
    together = Barrier(4)

    def opened(file):
        connection = sqlite3.connect(file, timeout=8)
        together.wait()
        _prepare_sqlite(connection, 8)
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        connection.close()
        return mode

    with ThreadPoolExecutor(4) as pool:
        for number in range(50):  # without waiting, about one in ten of them fails
            assert list(pool.map(opened, [tmp_path / f"{number}.sqlite"] * 4)) == ["wal"] * 4


def test_another_error_than_a_lock_is_not_waited_for():
    class Broken:
        modes = 0

        def execute(self, statement):
            if "journal_mode" in statement:
                self.modes += 1
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR
                raise error

    broken = Broken()
    with pytest.raises(sqlite3.OperationalError, match="disk"):
        _prepare_sqlite(broken, 8)
    assert broken.modes == 1
