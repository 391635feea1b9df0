"""The durable queue: the attempts' own table, one query that claims, and a fence against workers that come back.

Our own because none of the libraries hands a dead worker's job to another one on both databases: DBOS recovers only the
workflows of the same executor unless its managed Conductor is used, procrastinate needs PostgreSQL, and Huey loses the
task of a killed worker.

A worker holds an attempt for `lease_s` and prolongs that while it works. Each claim raises the attempt's `fence`; every
write names the fence of its claim and is refused when another claim has been made since.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from sqlalchemy import and_, case, delete, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from mipjudge.database import Database
from mipjudge.errors import EvaluationUsedError, LeaseLostError
from mipjudge.models import DONE, FAILED, QUEUED, RUNNING, VALIDATION, Attempt, Result, Team

SHOWN_WORST = 5  # images of a validation whose mask is kept for the team's page
_other = aliased(Attempt)  # of the same team
_BUSY = exists().where(_other.team_id == Attempt.team_id, _other.status == RUNNING)
_LAST_START = select(func.max(_other.started_at)).where(_other.team_id == Attempt.team_id).scalar_subquery()
_LONGEST_WAITING_FIRST = (func.coalesce(_LAST_START, 0), Attempt.enqueued_at, Attempt.id)


@dataclass(frozen=True)
class Claim:
    """What a worker knows of an attempt that it holds.

    Attributes:
        id: the attempt's.
        kind: `validation` or `evaluation`.
        url: the endpoint.
        fence: of this claim.
        image_set: fingerprint of the set that earlier claims used; None if there was none.
        saved: positions that already have a score, with their reason if it is a fault.
    """

    id: str
    kind: str
    url: str
    fence: int
    image_set: str | None = None
    saved: dict[int, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Scored:
    """The outcome of one image.

    Attributes:
        score: Dice, 0 for a fault.
        reason: code of the fault, if any.
        seconds: until the reply was there.
        mask: the mask as 1-bit PNG, if it is to be kept.
        detail: the fault in words, where there is more to say than its code does.
    """

    score: float
    reason: str | None = None
    seconds: float = 0.0
    mask: bytes | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Images:
    """Which images an attempt is scored on.

    Attributes:
        fingerprint: of the set; an attempt goes on with the one with which it began.
        total: number of images.
        source: `dataset` or `phantoms`.
        collection: of the validation and the test set together; scores of different ones are not comparable.
    """

    fingerprint: str
    total: int
    source: str = "dataset"
    collection: str = ""


def claim_next(db: Database, worker: str, lease_s: float, running: Collection[str] = ()) -> Claim | None:
    """Take the next attempt: one whose worker died, else of the team that has waited longest since its last start.

    Args:
        db: the database.
        worker: who takes it.
        lease_s: for how long.
        running: attempts that the worker has under way; their lease may have run out, but nobody needs to start anew.
    """
    try:
        with db.write() as session:
            now = db.now(session)
            dead = and_(Attempt.status == RUNNING, Attempt.lease_until < now)
            attempt = session.scalar(
                select(Attempt)
                .join(Team, Team.id == Attempt.team_id)
                .where(or_(and_(Attempt.status == QUEUED, ~_BUSY), dead), Attempt.id.not_in(running))
                .order_by(case((Attempt.status == RUNNING, 0), else_=1), *_LONGEST_WAITING_FIRST)
                .limit(1)
                .with_for_update(skip_locked=True, key_share=True, of=(Attempt, Team))
            )
            if attempt is None:
                return None
            attempt.status, attempt.fence, attempt.worker = RUNNING, attempt.fence + 1, worker
            attempt.lease_until = now + lease_s
            attempt.started_at = attempt.started_at or now
            session.flush()
            saved = session.execute(select(Result.position, Result.reason).where(Result.attempt_id == attempt.id))
            return Claim(
                id=attempt.id,
                kind=attempt.kind,
                url=attempt.url,
                fence=attempt.fence,
                image_set=attempt.image_set,
                saved={row.position: row.reason for row in saved},
            )
    except IntegrityError:  # another worker has just begun an attempt of the same team
        return None


def position_in_queue(db: Database, attempt: Attempt) -> int:
    """How many queued attempts will be claimed before this one, as things stand; 0 for one that waits no longer.

    The teams take turns. One with an attempt under way is counted behind those without.
    """
    if attempt.status != QUEUED:
        return 0
    turns: dict[str, list[str]] = {}  # each team's attempts; the teams in the order in which they are claimed
    with db.read() as session:
        query = select(Attempt.team_id, Attempt.id).where(Attempt.status == QUEUED)
        for team_id, attempt_id in session.execute(query.order_by(case((_BUSY, 1), else_=0), *_LONGEST_WAITING_FIRST)):
            turns.setdefault(team_id, []).append(attempt_id)
    order = [attempt_id for turn in zip_longest(*turns.values()) for attempt_id in turn if attempt_id]
    return order.index(attempt.id) if attempt.id in order else 0


def begin(db: Database, claim: Claim, images: Images) -> None:
    """Note which images the attempt is scored on."""
    with db.write() as session:
        _fenced(
            session,
            claim,
            image_set=images.fingerprint,
            total=images.total,
            source=images.source,
            collection=images.collection,
        )


def note_api(db: Database, claim: Claim, *, at_start: bool, text: str | None) -> None:
    """Note what the endpoint says of itself; what it said at the start of an earlier claim stays."""
    with db.write() as session:
        if at_start:
            earlier = session.scalar(select(Attempt.api_start).where(Attempt.id == claim.id))
            _fenced(session, claim, api_start=earlier or text)
        else:
            _fenced(session, claim, api_end=text)


def renew_lease(db: Database, claim: Claim, lease_s: float) -> None:
    """Take the lease for another while."""
    with db.write() as session:
        _fenced(session, claim, lease_until=db.now(session) + lease_s)


def save(db: Database, claim: Claim, position: int, scored: Scored, lease_s: float) -> None:
    """Write the score of one image, and prolong the lease; after a power cut the last images may be asked again."""
    with db.write(synced=False) as session:
        _fenced(session, claim, lease_until=db.now(session) + lease_s)
        session.add(_row(claim, position, scored))


def finish(db: Database, claim: Claim) -> float:
    """Close an attempt whose images all have a score.

    Returns:
        The mean Dice.
    """
    with db.write() as session:
        _fenced(session, claim, lease_until=0.0)  # first, so that the row is locked while it is counted
        total = session.scalar(select(Attempt.total).where(Attempt.id == claim.id))
        columns = select(Result.score, Result.position, Result.mask.is_not(None))
        rows = session.execute(columns.where(Result.attempt_id == claim.id)).all()
        if not rows or len(rows) != total:
            raise RuntimeError(f"attempt has {len(rows)} results for {total} images")
        mean = math.fsum(score for score, _, _ in rows) / len(rows)
        worst = [position for _, position, has_mask in sorted(tuple(row) for row in rows) if has_mask][:SHOWN_WORST]
        others = Result.position.not_in(worst if claim.kind == VALIDATION else [])
        session.execute(update(Result).where(Result.attempt_id == claim.id, others).values(mask=None))
        _fenced(session, claim, status=DONE, score=min(mean, 1.0), finished_at=db.now(session))
    return mean


def fail(db: Database, claim: Claim, failure: str) -> None:
    """Give an attempt up; images without a score get 0 with the same reason."""
    with db.write() as session:
        _fenced(session, claim, lease_until=0.0)
        total = session.scalar(select(Attempt.total).where(Attempt.id == claim.id)) or 0
        known = set(session.scalars(select(Result.position).where(Result.attempt_id == claim.id)))
        session.add_all(_row(claim, place, Scored(0.0, failure)) for place in range(total) if place not in known)
        session.flush()
        _fenced(session, claim, status=FAILED, failure=failure, finished_at=db.now(session))


def release(db: Database, claim: Claim) -> None:
    """Let any worker take over at once."""
    with db.write() as session:
        _fenced(session, claim, lease_until=0.0)


def put_back(db: Database, claim: Claim) -> None:
    """Put an attempt back into the queue; the scores that it has stay."""
    with db.write() as session:
        _fenced(session, claim, status=QUEUED, lease_until=0.0, worker=None)


def cancel(db: Database, attempt_id: str) -> bool:
    """End an attempt that is queued or running; its worker, if it has one, loses it.

    Returns:
        Whether it was not over yet.
    """
    with db.write() as session:
        over_at = db.now(session)
        found = session.execute(
            update(Attempt)
            .where(Attempt.id == attempt_id, Attempt.status.in_((QUEUED, RUNNING)))
            .values(status=FAILED, failure="cancelled", fence=Attempt.fence + 1, lease_until=0.0, finished_at=over_at)
        )
        return bool(found.rowcount)  # type: ignore[attr-defined]


def requeue(db: Database, attempt_id: str) -> bool:
    """Start an attempt afresh, whatever became of it; its worker, if it has one, loses it.

    Returns:
        Whether there is such an attempt.

    Raises:
        EvaluationUsedError: it is an evaluation, and the team has had another one since.
    """
    try:
        return _requeue(db, attempt_id)
    except IntegrityError:
        raise EvaluationUsedError from None


def _requeue(db: Database, attempt_id: str) -> bool:
    with db.write() as session:
        found = session.execute(
            update(Attempt)
            .where(Attempt.id == attempt_id)
            .values(
                {"status": QUEUED, "fence": Attempt.fence + 1, "lease_until": 0.0, "worker": None, "score": None}
                | {"started_at": None, "finished_at": None, "failure": None, "image_set": None, "total": None}
                | {"source": None, "collection": None, "api_start": None, "api_end": None}
            )
        )
        session.execute(delete(Result).where(Result.attempt_id == attempt_id))
        return bool(found.rowcount)  # type: ignore[attr-defined]


def _fenced(session: Session, claim: Claim, **values: Any) -> None:
    holds = and_(Attempt.id == claim.id, Attempt.fence == claim.fence, Attempt.status == RUNNING)
    changed = session.execute(
        update(Attempt).where(holds).values(**values).execution_options(synchronize_session=False)
    )
    if changed.rowcount != 1:  # type: ignore[attr-defined]
        raise LeaseLostError("another worker has this attempt")


def _row(claim: Claim, position: int, scored: Scored) -> Result:
    return Result(
        attempt_id=claim.id,
        position=position,
        score=scored.score,
        reason=scored.reason,
        detail=scored.detail,
        seconds=scored.seconds,
        mask=scored.mask,
    )
