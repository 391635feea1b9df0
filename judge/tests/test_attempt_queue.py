import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from judge_attempts import claimed, wait_until
from judge_running import OpenDatabase
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm.exc import DetachedInstanceError

from mipjudge import attempt_queue, store
from mipjudge.attempt_queue import Images, Scored
from mipjudge.database import Database
from mipjudge.errors import LeaseLostError
from mipjudge.models import Attempt

URL = "http://127.0.0.1:64999/predict"


def enqueue(db: Database, name: str, number: int = 1) -> list[str]:
    team = store.local_team(db, name)[0]
    return [store.enqueue(db, team, "validation", URL, (100, 1000)).id for _ in range(number)]


def expire(db: Database) -> None:
    with db.write() as session:
        session.execute(text("UPDATE attempts SET lease_until = 1"))


def test_a_job_goes_on_where_it_stopped_and_the_mean_is_exact(db: Database) -> None:
    (attempt,) = enqueue(db, "a")
    claim = claimed(db, "one")
    assert (claim.id, claim.saved) == (attempt, {})
    attempt_queue.begin(db, claim, Images("set", 3))
    attempt_queue.save(db, claim, 0, Scored(0.1), 30)
    attempt_queue.save(db, claim, 1, Scored(0.0, "timeout", 10.0), 30)
    assert attempt_queue.claim_next(db, "two", 30) is None
    expire(db)
    second = claimed(db, "two")
    assert second.saved == {0: None, 1: "timeout"}
    attempt_queue.save(db, second, 2, Scored(0.2), 30)
    assert attempt_queue.finish(db, second) == pytest.approx(0.1, abs=1e-15)
    assert attempt_queue.claim_next(db, "one", 30) is None


def test_every_write_of_a_zombie_is_refused(db: Database) -> None:
    enqueue(db, "a")
    zombie = claimed(db, "one")
    attempt_queue.begin(db, zombie, Images("set", 2))
    expire(db)
    heir = claimed(db, "two")
    for write in (
        lambda: attempt_queue.begin(db, zombie, Images("other", 7)),
        lambda: attempt_queue.renew_lease(db, zombie, 30),
        lambda: attempt_queue.save(db, zombie, 0, Scored(1.0), 30),
        lambda: attempt_queue.finish(db, zombie),
        lambda: attempt_queue.fail(db, zombie, "timeout"),
        lambda: attempt_queue.release(db, zombie),
    ):
        with pytest.raises(LeaseLostError):
            write()
    attempt_queue.save(db, heir, 0, Scored(0.5), 30)
    attempt_queue.save(db, heir, 1, Scored(0.5), 30)
    assert attempt_queue.finish(db, heir) == 0.5


def test_a_finished_or_requeued_attempt_takes_no_more_writes(db: Database) -> None:
    (attempt,) = enqueue(db, "a")
    claim = claimed(db, "one")
    attempt_queue.begin(db, claim, Images("set", 1))
    attempt_queue.requeue(db, attempt)
    with pytest.raises(LeaseLostError):
        attempt_queue.save(db, claim, 0, Scored(1.0), 30)
    claim = claimed(db, "one")
    attempt_queue.begin(db, claim, Images("set", 1))
    attempt_queue.save(db, claim, 0, Scored(1.0), 30)
    attempt_queue.finish(db, claim)
    with pytest.raises(LeaseLostError):
        attempt_queue.fail(db, claim, "timeout")


def test_an_attempt_with_images_missing_can_not_be_finished(db: Database) -> None:
    enqueue(db, "a")
    claim = claimed(db, "one")
    attempt_queue.begin(db, claim, Images("set", 2))
    attempt_queue.save(db, claim, 0, Scored(1.0), 30)
    with pytest.raises(RuntimeError, match="1 results for 2 images"):
        attempt_queue.finish(db, claim)


def test_a_failed_attempt_has_a_row_for_every_image(db: Database) -> None:
    (attempt,) = enqueue(db, "a")
    claim = claimed(db, "one")
    attempt_queue.begin(db, claim, Images("set", 3))
    attempt_queue.save(db, claim, 1, Scored(0.0, "unreachable"), 30)
    attempt_queue.fail(db, claim, "unreachable")
    found = store.find_attempt(db, store.local_team(db, "a")[0], attempt)
    assert found is not None
    assert (found.status, found.score, found.failure) == ("failed", None, "unreachable")
    rows = store.results_of(db, found)
    assert [(row.position, row.score, row.reason) for row in rows] == [(n, 0.0, "unreachable") for n in range(3)]


def test_released_is_free_at_once(db: Database) -> None:
    enqueue(db, "a")
    claim = claimed(db, "one")
    attempt_queue.release(db, claim)
    assert claimed(db, "two").id == claim.id


def test_a_worker_does_not_take_over_from_itself(db: Database) -> None:
    (attempt,) = enqueue(db, "a")
    claim = claimed(db, "one")
    expire(db)
    assert attempt_queue.claim_next(db, "one", 30, [attempt]) is None
    attempt_queue.renew_lease(db, claim, 30)
    expire(db)
    assert claimed(db, "two").fence == 2


def test_teams_take_turns(db: Database) -> None:
    many, (single,) = enqueue(db, "many", 3), enqueue(db, "single")
    order = []
    for _ in range(4):
        claim = claimed(db, "w")
        order.append(claim.id)
        attempt_queue.begin(db, claim, Images("set", 0))
        attempt_queue.fail(db, claim, "unreachable")
    assert order == [many[0], single, many[1], many[2]]


def test_one_running_attempt_per_team(db: Database) -> None:
    enqueue(db, "a", 2)
    assert attempt_queue.claim_next(db, "one", 30) is not None
    assert attempt_queue.claim_next(db, "two", 30) is None


def test_a_team_with_a_running_attempt_keeps_no_other_waiting(db: Database) -> None:
    enqueue(db, "a", 2)
    first, second = enqueue(db, "b", 2)
    assert attempt_queue.claim_next(db, "one", 30) is not None
    claim = claimed(db, "two")
    assert claim.id == first
    attempt_queue.fail(db, claim, "unreachable")
    assert claimed(db, "two").id == second  # though it is a's turn


def test_a_claim_that_meets_anothers_of_the_same_team_gets_nothing(open_database: OpenDatabase) -> None:
    one, two = open_database(), open_database()
    first, _ = enqueue(one, "a", 2)
    with ThreadPoolExecutor(1) as pool:
        with one.write() as session:
            claim = text("UPDATE attempts SET status = 'running', lease_until = 1e12 WHERE id = :id")
            session.execute(claim, {"id": first})
            late = pool.submit(attempt_queue.claim_next, two, "w", 30)
            time.sleep(0.5)
            assert not late.done()
        assert late.result() is None


def test_a_worker_that_stands_still_in_a_transaction_loses_it(open_database: OpenDatabase) -> None:
    db, still = open_database(), open_database(standstill_s=2)
    if db.engine.dialect.name == "sqlite":
        pytest.skip("SQLite's lock is held until the process goes on or ends")
    enqueue(db, "a")
    attempt_queue.claim_next(still, "one", 30)
    expire(db)

    def stand_still() -> None:
        with still.write() as session:
            session.execute(text("UPDATE attempts SET worker = 'one'"))
            assert attempt_queue.claim_next(db, "two", 30) is None
            wait_until(lambda: attempt_queue.claim_next(db, "two", 30) is not None)

    with pytest.raises(DBAPIError):
        stand_still()


def test_workers_at_once_never_claim_the_same(open_database: OpenDatabase) -> None:
    databases = [open_database() for _ in range(4)]
    wanted = [enqueue(databases[0], f"team {number}", 2)[0] for number in range(12)]

    def work(db: Database) -> list[str]:
        found: list[str] = []
        idle = 0
        while idle < 5:
            claim = attempt_queue.claim_next(db, "w", 30)
            idle = 0 if claim else idle + 1
            found += [claim.id] if claim else []
        return found

    with ThreadPoolExecutor(4) as pool:
        found = [attempt for attempts in pool.map(work, databases) for attempt in attempts]
    assert sorted(found) == sorted(wanted)


def test_only_the_worst_validation_masks_are_kept(db: Database) -> None:
    enqueue(db, "a")
    claim = claimed(db, "one")
    attempt_queue.begin(db, claim, Images("set", 9))
    for position in range(8):
        attempt_queue.save(db, claim, position, Scored(1 - position / 10, mask=b"mask"), 30)
    attempt_queue.save(db, claim, 8, Scored(0.0, "timeout"), 30)  # has none, and takes nobody's place
    attempt_queue.finish(db, claim)
    team = store.local_team(db, "a")[0]
    found = store.find_attempt(db, team, claim.id)
    assert found is not None
    assert store.worst_masks(db, found) == dict.fromkeys([7, 6, 5, 4, 3], b"mask")
    with pytest.raises(DetachedInstanceError):  # polls read no masks: a running attempt has hundreds
        store.results_of(db, found)[7].mask  # noqa: B018


def test_the_position_follows_the_order_of_the_claims(db: Database) -> None:
    (first,) = enqueue(db, "had its turn")
    attempt_queue.fail(db, claimed(db), "unreachable")
    a = enqueue(db, "a", 3)
    had_its_turn = enqueue(db, "had its turn", 2)
    b = enqueue(db, "b", 2)
    order = [a[0], b[0], had_its_turn[0], a[1], b[1], had_its_turn[1], a[2]]
    assert places(db, [*order, first]) == [0, 1, 2, 3, 4, 5, 6, 0]
    while order:
        claim = claimed(db)
        assert claim.id == order.pop(0)
        assert places(db, order) == list(range(len(order)))  # nobody falls back, and 0 is next, while it runs
        attempt_queue.fail(db, claim, "unreachable")
        assert places(db, order) == list(range(len(order)))


def test_a_team_with_an_attempt_under_way_is_behind_those_without(db: Database) -> None:
    busy = enqueue(db, "busy", 2)
    assert claimed(db).id == busy[0]
    enqueue(db, "free")
    attempt_queue.fail(db, claimed(db), "unreachable")
    (free,) = enqueue(db, "free")  # has begun after the busy team's, and yet is next
    assert places(db, [free, busy[1]]) == [0, 1]
    assert claimed(db).id == free
    assert attempt_queue.claim_next(db, "w", 30) is None


def places(db: Database, attempts: list[str]) -> list[int]:
    with db.read() as session:
        return [attempt_queue.position_in_queue(db, session.get_one(Attempt, one)) for one in attempts]
