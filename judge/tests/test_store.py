import hashlib
import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from judge_attempts import claimed
from judge_running import OpenDatabase
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from mipjudge import attempt_queue, database, store
from mipjudge.attempt_queue import Images, Scored
from mipjudge.database import Database
from mipjudge.errors import (
    EvaluationClosedError,
    EvaluationUsedError,
    LeaseLostError,
    TeamExistsError,
    TeamNameError,
)
from mipjudge.models import Attempt, Base, Result, Team

URL = "http://127.0.0.1:64999/predict"
LIMITS = (5, 100)


def test_the_migration_makes_the_tables_that_the_models_describe(db: Database) -> None:
    with db.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_four_judges_may_start_at_once(open_database: OpenDatabase) -> None:
    with ThreadPoolExecutor(4) as pool:
        databases = list(pool.map(lambda _: open_database(), range(4)))
    assert store.make_team(databases[0], "a")[0].name == "a"


def test_only_the_hash_of_a_token_is_kept(db: Database) -> None:
    team, token = store.make_team(db, "'; DROP TABLE teams; --")
    assert len(token) == 64
    assert team.token_hash == hashlib.sha256(token.encode()).hexdigest()
    found = store.find_team(db, token)
    assert found is not None
    assert found.name == "'; DROP TABLE teams; --"
    assert store.find_team(db, team.token_hash) is None
    with pytest.raises(TeamExistsError):
        store.make_team(db, team.name)


@pytest.mark.parametrize("name", [
    "", "  ", "x" * 65, "x" * 10_000, "a\nb", "a\x00", "a\u202eb", "a\u200bb", "\ufeff", "\u3164",
    "a\u2800", "a\ufe0f", "a\u034fb", "a\U000e0100", "a\u00a0b", "\ud800", "e\u0301" * 65,
])  # fmt: skip
def test_names_that_could_do_harm_are_refused(db: Database, name: str) -> None:
    with pytest.raises(TeamNameError):
        store.make_team(db, name)


@pytest.mark.parametrize(("given", "kept"), [
    (" Ada's team\t", "Ada's team"), ("Zoe\u0308", "Zo\u00eb"), ("e\u0301" * 64, "\u00e9" * 64),
    ("\u4e2d\u6587 \U0001f600", "\u4e2d\u6587 \U0001f600"),
])  # fmt: skip
def test_what_looks_the_same_is_one_name(db: Database, given: str, kept: str) -> None:
    assert store.make_team(db, given)[0].name == kept
    with pytest.raises(TeamExistsError):
        store.make_team(db, kept)


def test_a_team_is_renamed_gets_another_token_and_is_removed(db: Database) -> None:
    team, token = store.make_team(db, "a")
    other, _ = store.make_team(db, "b")
    for one in (team, other):
        store.enqueue(db, one, "validation", URL, LIMITS)
    claim = claimed(db)
    attempt_queue.begin(db, claim, Images("set", 2))
    attempt_queue.save(db, claim, 0, Scored(1.0), 30)
    assert store.rename_team(db, "a", " Zoe\u0308 ")
    assert not store.rename_team(db, "a", "c")
    with pytest.raises(TeamExistsError):
        store.rename_team(db, "Zo\u00eb", "b")
    with pytest.raises(TeamNameError):
        store.rename_team(db, "b", "\u200b")
    renamed = store.find_team(db, token)
    assert renamed is not None
    assert (renamed.id, renamed.name) == (team.id, "Zo\u00eb")
    fresh = store.new_token(db, "Zo\u00eb")
    assert fresh is not None
    assert store.find_team(db, token) is None
    found = store.find_team(db, fresh)
    assert found is not None
    assert found.id == team.id
    assert store.new_token(db, "a") is None
    assert store.delete_team(db, "Zo\u00eb")
    assert not store.delete_team(db, "Zo\u00eb")
    assert store.find_team(db, fresh) is None
    with pytest.raises(LeaseLostError):
        attempt_queue.save(db, claim, 1, Scored(1.0), 30)
    with db.read() as session:
        assert [attempt.team_id for attempt in session.scalars(select(Attempt))] == [other.id]
        assert session.scalars(select(Result)).all() == []


def test_a_database_of_the_first_version_goes_on(database_url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).with_name("migrations")))
    engine = create_engine(database_url)
    values = "'t', 'evaluation', 'u', 'done', 1, 2, 3, 0.5, 'old', 200, 1, 0"
    names = (
        "team_id, kind, url, status, enqueued_at, started_at, finished_at, score, image_set, total, fence, lease_until"
    )
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(text("INSERT INTO teams VALUES ('t', 'a', 'h', 1, 0)"))
        connection.execute(text(f"INSERT INTO attempts (id, {names}) VALUES ('{'0' * 32}', {values})"))  # noqa: S608
    engine.dispose()
    db = database.Database(database_url)
    with db.read() as session:
        attempt = session.scalars(select(Attempt)).one()
        assert (attempt.score, attempt.source, attempt.api_start) == (0.5, None, None)
        team = session.scalars(select(Team)).one()
    store.set_evaluation(db, 0)
    with pytest.raises(EvaluationUsedError):
        store.enqueue(db, team, "evaluation", URL, LIMITS)
    with db.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    db.close()


def test_a_local_team_gets_its_token_again_and_an_operators_team_keeps_its_own(db: Database) -> None:
    team, token, made = store.local_team(db, "local")
    assert made
    again = store.local_team(db, "local")
    assert (again[0].id, again[1], again[2]) == (team.id, token, False)
    store.make_team(db, "real")
    with pytest.raises(TeamExistsError):
        store.local_team(db, "real")


@pytest.mark.hazard("H11")
@pytest.mark.parametrize("score", [-0.01, 1.01, math.nan, None])
def test_the_database_refuses_a_score_beyond_0_to_1(db: Database, score: float | None) -> None:
    team, _ = store.make_team(db, "a")
    attempt = store.enqueue(db, team, "validation", URL, LIMITS)
    with pytest.raises((IntegrityError, DBAPIError)), db.write() as session:
        session.add(Result(attempt_id=attempt.id, position=0, score=score, seconds=0))


def test_an_image_has_one_row_and_a_done_attempt_has_a_score(db: Database) -> None:
    team, _ = store.make_team(db, "a")
    attempt = store.enqueue(db, team, "validation", URL, LIMITS)
    for _ in range(2):
        row = text("INSERT INTO results (attempt_id, position, score, seconds) VALUES (:id, 0, 1, 0)")
        with db.write() as session:
            if session.scalar(select(Result.position)) is None:
                session.execute(row, {"id": attempt.id})
                continue
            with pytest.raises(IntegrityError):
                session.execute(row, {"id": attempt.id})
    with pytest.raises(IntegrityError), db.write() as session:
        session.execute(text("UPDATE attempts SET status = 'done'"))


def test_an_evaluation_waits_for_its_date(db: Database) -> None:
    team, _ = store.make_team(db, "a")
    with pytest.raises(EvaluationClosedError):
        store.enqueue(db, team, "evaluation", URL, LIMITS)
    store.set_evaluation(db, 4e9)
    with pytest.raises(EvaluationClosedError) as error:
        store.enqueue(db, team, "evaluation", URL, LIMITS)
    assert error.value.opens_at == 4e9
    store.set_evaluation(db, 0)
    assert store.enqueue(db, team, "evaluation", URL, LIMITS).kind == "evaluation"
    assert store.has_evaluated(db, team)
    store.set_evaluation(db, None)
    assert store.evaluation_opens_at(db) is None


@pytest.mark.hazard("H20")
def test_one_evaluation_per_team_under_32_at_once(open_database: OpenDatabase) -> None:
    databases = [open_database() for _ in range(2)]
    store.set_evaluation(databases[0], 0)
    for number in range(3):
        team, _ = store.make_team(databases[0], f"team {number}")
        start = Barrier(32)

        def evaluate(index: int, team: Team = team, start: Barrier = start) -> str | None:
            start.wait()
            try:
                return store.enqueue(databases[index % 2], team, "evaluation", URL, LIMITS).id
            except EvaluationUsedError:
                return None

        with ThreadPoolExecutor(32) as pool:
            ids = list(pool.map(evaluate, range(32)))
        assert sum(attempt is not None for attempt in ids) == 1
    with databases[0].read() as session:
        assert len(session.scalars(select(Attempt)).all()) == 3


def test_an_attempt_is_shown_to_its_team_only(db: Database) -> None:
    (mine, _), (other, _) = store.make_team(db, "a"), store.make_team(db, "b")
    attempt = store.enqueue(db, mine, "validation", URL, LIMITS)
    assert store.find_attempt(db, mine, attempt.id) is not None
    assert store.find_attempt(db, other, attempt.id) is None
    assert store.find_attempt(db, mine, attempt.id, "evaluation") is None
    assert store.find_attempt(db, mine, "..%2f") is None
    assert store.find_attempt(db, mine, "0" * 32) is None


def test_a_write_lock_is_waited_for_but_not_without_end(open_database: OpenDatabase) -> None:
    db, impatient = open_database(), open_database(lock_wait_s=0.3)
    team, _ = store.make_team(db, "a")
    with db.write() as session, ThreadPoolExecutor(1) as pool:
        session.execute(text("UPDATE teams SET verified_at = 1"))
        started = time.monotonic()
        with pytest.raises(DBAPIError):
            store.may_verify(impatient, team, 0)
        assert time.monotonic() - started < 5
        patient = pool.submit(store.may_verify, db, team, 0)
        with pytest.raises(TimeoutError):
            patient.result(0.3)
        session.commit()
        assert patient.result(8)


def test_reading_and_writing_do_not_wait_for_each_other(open_database: OpenDatabase) -> None:
    db, impatient = open_database(), open_database(lock_wait_s=0.1)
    team, token = store.make_team(db, "a")
    with db.read() as session:
        session.execute(text("SELECT 1 FROM teams"))
        assert store.may_verify(impatient, team, 0)
    with db.write() as session:
        session.execute(text("UPDATE teams SET verified_at = 1"))
        assert store.find_team(impatient, token) is not None


def test_requeue_starts_afresh(db: Database) -> None:
    team, _ = store.make_team(db, "a")
    attempt = store.enqueue(db, team, "validation", URL, LIMITS)
    claim = attempt_queue.claim_next(db, "w", 30)
    assert claim is not None
    attempt_queue.begin(db, claim, attempt_queue.Images("set", 2))
    attempt_queue.fail(db, claim, "unreachable")
    assert len(store.results_of(db, attempt)) == 2
    assert attempt_queue.requeue(db, attempt.id)
    assert not attempt_queue.requeue(db, "0" * 32)
    fresh = store.find_attempt(db, team, attempt.id)
    assert fresh is not None
    assert (fresh.status, fresh.failure, fresh.total, store.results_of(db, attempt)) == ("queued", None, None, [])
