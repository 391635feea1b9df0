"""Teams, their attempts, and when the evaluation is open."""

import hashlib
import hmac
import re
import secrets
from uuid import uuid4

from sqlalchemy import Select, delete, func, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, defer

from mipjudge.database import Database
from mipjudge.errors import (
    EvaluationClosedError,
    EvaluationUsedError,
    RateLimitError,
    TeamExistsError,
)
from mipjudge.models import (
    DONE,
    EVALUATION,
    QUEUED,
    RUNNING,
    USED_EVALUATION,
    VALIDATION,
    Attempt,
    Result,
    Setting,
    Team,
)
from mipjudge.team_names import team_name

HOUR = 3600.0
_ID = re.compile(r"[0-9a-f]{32}")
_OPENS_AT, _LOCAL_SECRET = "evaluation_opens_at", "local_secret"  # keys of settings


def make_team(db: Database, name: str) -> tuple[Team, str]:
    """Register a team.

    Returns:
        The team and its token, which is not kept anywhere.

    Raises:
        TeamNameError: see `mipjudge.team_names`.
        TeamExistsError: the name is taken.
    """
    token = secrets.token_hex(32)
    return _insert_team(db, name, token), token


def local_team(db: Database, name: str) -> tuple[Team, str, bool]:
    """A team for whoever sits at this machine: made on first use, the same token afterwards.

    Returns:
        The team, its token, and whether it was made just now.

    Raises:
        TeamNameError: see `make_team`.
        TeamExistsError: the operator made a team of this name, whose token is not given away.
    """
    name = team_name(name)
    token = hmac.new(_local_secret(db), name.encode(), hashlib.sha256).hexdigest()
    try:
        return _insert_team(db, name, token), token, True
    except TeamExistsError:
        team = find_team(db, token)
        if team is None:
            raise
        return team, token, False


def find_team(db: Database, token: str) -> Team | None:
    """The team with this token."""
    with db.read() as session:
        return session.scalar(select(Team).where(Team.token_hash == _hash(token)))


def rename_team(db: Database, name: str, new_name: str) -> bool:
    """Give a team another name; its token and its attempts stay.

    Returns:
        Whether there is such a team.

    Raises:
        TeamNameError: see `mipjudge.team_names`.
        TeamExistsError: the new name is taken.
    """
    try:
        return _change_team(db, name, {"name": team_name(new_name)})
    except IntegrityError:
        raise TeamExistsError from None


def new_token(db: Database, name: str) -> str | None:
    """Give a team another token; the old one is no longer known.

    Returns:
        The token, which is not kept anywhere; None if there is no such team.
    """
    token = secrets.token_hex(32)
    return token if _change_team(db, name, {"token_hash": _hash(token)}) else None


def delete_team(db: Database, name: str) -> bool:
    """Remove a team with its attempts and their results; a worker that judges it loses the attempt.

    Returns:
        Whether there was such a team.
    """
    with db.write() as session:
        team = session.scalar(select(Team).where(Team.name == team_name(name)))
        if team is None:
            return False
        attempts = select(Attempt.id).where(Attempt.team_id == team.id)
        session.execute(delete(Result).where(Result.attempt_id.in_(attempts)))
        session.execute(delete(Attempt).where(Attempt.team_id == team.id))
        session.delete(team)
    return True


def enqueue(db: Database, team: Team, kind: str, url: str, limits: tuple[int, int]) -> Attempt:
    """Put an attempt into the queue.

    Args:
        db: the database.
        team: whose attempt.
        kind: `validation` or `evaluation`.
        url: the team's endpoint, already checked.
        limits: of attempts of a kind: unfinished ones at once, and new ones per hour. Cancelled ones count.

    Raises:
        EvaluationClosedError: the evaluation is not open yet, or not any more.
        EvaluationUsedError: the team has had its one evaluation.
        RateLimitError: too many attempts of this kind.
    """
    try:
        with db.write() as session:
            now = db.now(session)
            _check(session, team, kind, now, limits)
            attempt = Attempt(id=uuid4().hex, team_id=team.id, kind=kind, url=url, status=QUEUED, enqueued_at=now)
            session.add(attempt)
    except IntegrityError:  # the partial unique index, however many judges asked at the same moment
        raise EvaluationUsedError from None
    return attempt


def check(db: Database, team: Team, kind: str, limits: tuple[int, int]) -> None:
    """Refuse what `enqueue` would refuse, before any work is done for it; see there."""
    with db.read() as session:
        _check(session, team, kind, db.now(session), limits)


def attempts_of(db: Database, team: Team, limit: int) -> list[Attempt]:
    """A team's latest attempts, the latest first."""
    with db.read() as session:
        query = select(Attempt).where(Attempt.team_id == team.id).order_by(Attempt.enqueued_at.desc(), Attempt.id)
        return list(session.scalars(query.limit(limit)))


def count_attempts(db: Database, team: Team, kind: str) -> int:
    """How many attempts of a kind a team has made."""
    with db.read() as session:
        query = select(func.count()).select_from(Attempt).where(Attempt.team_id == team.id, Attempt.kind == kind)
        return session.scalar(query) or 0


def find_attempt(db: Database, team: Team, attempt_id: str, kind: str | None = None) -> Attempt | None:
    """A team's own attempt; None where it is unknown, another's, or of the other kind."""
    if not _ID.fullmatch(attempt_id):
        return None
    with db.read() as session:
        attempt = session.get(Attempt, attempt_id)
    if attempt is None or kind not in (None, attempt.kind) or attempt.team_id != team.id:
        return None
    return attempt


def has_evaluated(db: Database, team: Team) -> bool:
    """Whether the team's one evaluation is used."""
    with db.read() as session:
        return session.scalar(_evaluation_of(team)) is not None


def results_of(db: Database, attempt: Attempt) -> list[Result]:
    """The images of an attempt that have a score, in their order, without their masks."""
    with db.read() as session:
        query = select(Result).where(Result.attempt_id == attempt.id).order_by(Result.position)
        return list(session.scalars(query.options(defer(Result.mask))))


def worst_masks(db: Database, attempt: Attempt) -> dict[int, bytes]:
    """From the position to the mask of the worst images of a finished validation, the worst first; else nothing."""
    if attempt.kind != VALIDATION or attempt.status != DONE:
        return {}
    with db.read() as session:
        query = select(Result.position, Result.mask).where(Result.attempt_id == attempt.id, Result.mask.is_not(None))
        return {row.position: row.mask for row in session.execute(query.order_by(Result.score, Result.position))}


def may_verify(db: Database, team: Team, interval_s: float) -> bool:
    """Take the team's next connection test, unless the last one was less than `interval_s` ago."""
    with db.write() as session:
        now = db.now(session)
        free = Team.verified_at <= now - interval_s
        taken = session.execute(update(Team).where(Team.id == team.id, free).values(verified_at=now))
        return bool(taken.rowcount)  # type: ignore[attr-defined]


def evaluation_opens_at(db: Database) -> float | None:
    """When the evaluation opens or opened; None while it is closed without a date."""
    with db.read() as session:
        return _opens_at(session)


def set_evaluation(db: Database, opens_at: float | None) -> None:
    """Open the evaluation from a moment on, or close it."""
    with db.write() as session:
        setting = session.get(Setting, _OPENS_AT)
        if setting is not None:
            session.delete(setting)
            session.flush()
        if opens_at is not None:
            session.add(Setting(key=_OPENS_AT, value=repr(opens_at)))


def _change_team(db: Database, name: str, values: dict[str, str]) -> bool:
    with db.write() as session:
        changed = session.execute(update(Team).where(Team.name == team_name(name)).values(values))
        return bool(changed.rowcount)  # type: ignore[attr-defined]


def _opens_at(session: Session) -> float | None:
    setting = session.get(Setting, _OPENS_AT)
    return None if setting is None else float(setting.value)


def _evaluation_of(team: Team) -> Select[str]:
    return select(Attempt.id).where(Attempt.team_id == team.id, text(USED_EVALUATION))


def _check(session: Session, team: Team, kind: str, now: float, limits: tuple[int, int]) -> None:
    # The team's row is locked, so that simultaneous requests are counted one after another on PostgreSQL as well.
    session.execute(select(Team.id).where(Team.id == team.id).with_for_update())
    if kind == EVALUATION:
        opens_at = _opens_at(session)
        if opens_at is None or now < opens_at:
            raise EvaluationClosedError(opens_at)
        if session.scalar(_evaluation_of(team)) is not None:
            raise EvaluationUsedError
    _check_rate(session, team, kind, now, limits)


def _check_rate(session: Session, team: Team, kind: str, now: float, limits: tuple[int, int]) -> None:
    waiting, per_hour = limits
    mine = select(func.count(), func.min(Attempt.enqueued_at)).where(Attempt.team_id == team.id, Attempt.kind == kind)
    if session.execute(mine.where(Attempt.status.in_((QUEUED, RUNNING)))).one()[0] >= waiting:
        raise RateLimitError(f"{waiting} attempts of this team are not finished yet", 10)
    count, first = session.execute(mine.where(Attempt.enqueued_at > now - HOUR)).one()
    if count >= per_hour:
        raise RateLimitError(f"a team may start {per_hour} {kind}s per hour", int(first + HOUR - now) + 1)


def _insert_team(db: Database, name: str, token: str) -> Team:
    try:
        with db.write() as session:
            name = team_name(name)
            team = Team(id=uuid4().hex, name=name, token_hash=_hash(token), created_at=db.now(session), verified_at=0.0)
            session.add(team)
    except IntegrityError:
        raise TeamExistsError from None
    return team


def _local_secret(db: Database) -> bytes:
    with db.read() as session:
        setting = session.get(Setting, _LOCAL_SECRET)
    if setting is None:
        try:
            with db.write() as session:
                setting = Setting(key=_LOCAL_SECRET, value=secrets.token_hex(32))
                session.add(setting)
        except IntegrityError:  # another request was faster
            return _local_secret(db)
    return setting.value.encode()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
