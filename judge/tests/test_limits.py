"""How much a team may do at once and in an hour."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from judge_running import OpenDatabase
from sqlalchemy import text

from mipjudge import attempt_queue, store
from mipjudge.database import Database
from mipjudge.errors import EvaluationUsedError, RateLimitError

URL = "http://127.0.0.1:64999/predict"


def test_validations_are_limited_in_number_and_rate(db: Database) -> None:
    team, _ = store.make_team(db, "a")
    for _ in range(2):
        store.enqueue(db, team, "validation", URL, (2, 3))
    with pytest.raises(RateLimitError, match="not finished"):
        store.enqueue(db, team, "validation", URL, (2, 3))
    with db.write() as session:
        session.execute(text("UPDATE attempts SET status = 'failed'"))
    store.enqueue(db, team, "validation", URL, (2, 3))
    with pytest.raises(RateLimitError, match="per hour") as error:
        store.enqueue(db, team, "validation", URL, (2, 3))
    assert 3590 <= error.value.retry_after_s <= 3601


def test_evaluations_that_are_cancelled_before_they_begin_are_limited_too(db: Database) -> None:
    store.set_evaluation(db, 0)
    team, _ = store.make_team(db, "a")
    other, _ = store.make_team(db, "b")
    store.enqueue(db, team, "validation", URL, (1, 1))  # is counted apart, and keeps no evaluation waiting
    for _ in range(3):
        attempt = store.enqueue(db, team, "evaluation", URL, (1, 3))
        with pytest.raises(EvaluationUsedError):
            store.check(db, team, "evaluation", (1, 3))
        assert attempt_queue.cancel(db, attempt.id)
    with pytest.raises(RateLimitError, match="3 evaluations per hour"):
        store.check(db, team, "evaluation", (1, 3))
    with pytest.raises(RateLimitError, match="3 evaluations per hour") as error:
        store.enqueue(db, team, "evaluation", URL, (1, 3))
    assert 3590 <= error.value.retry_after_s <= 3601
    assert not store.has_evaluated(db, team)
    assert store.enqueue(db, other, "evaluation", URL, (1, 3)).status == "queued"
    with db.write() as session:
        session.execute(text("UPDATE attempts SET enqueued_at = enqueued_at - 3600"))
    assert store.enqueue(db, team, "evaluation", URL, (1, 3)).status == "queued"


def test_the_limits_hold_for_requests_at_the_same_moment(open_database: OpenDatabase) -> None:
    databases = [open_database() for _ in range(2)]
    team, _ = store.make_team(databases[0], "a")
    start = Barrier(16)

    def validate(index: int) -> str | None:
        start.wait()
        try:
            return store.enqueue(databases[index % 2], team, "validation", URL, (3, 100)).id
        except RateLimitError:
            return None

    with ThreadPoolExecutor(16) as pool:
        assert sum(attempt is not None for attempt in pool.map(validate, range(16))) == 3


def test_connection_tests_keep_a_distance(db: Database) -> None:
    team, _ = store.make_team(db, "a")
    assert store.may_verify(db, team, 60)
    assert not store.may_verify(db, team, 60)
    assert store.may_verify(db, team, 0)
