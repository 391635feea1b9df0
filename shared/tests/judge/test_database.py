import pytest
from sqlalchemy import text

from mipjudge import queue, store


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
    job = queue.claim(db, "w", 30)
    queue.begin(db, job, "set", 1)
    assert all(lasting)
    queue.save(db, job, 0, queue.Scored(1.0), 30)
    assert lasting.pop() is False
    queue.finish(db, job)
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
