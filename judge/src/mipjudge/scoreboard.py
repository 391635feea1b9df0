"""The scoreboard: ranks, Formula 1 points, and each team's history; scores of different images are kept apart."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from mipjudge.answers import iso, published
from mipjudge.database import Database
from mipjudge.models import DONE, EVALUATION, Attempt, Team
from mipjudge.sets import Sets, describe_images

POINTS = (25, 18, 15, 12, 10, 8, 6, 4, 2, 1)
HISTORY = 50  # latest scores that are shown of a team
NO_IMAGES_YET = ""  # key of attempts that have not begun


@dataclass
class _Row:
    team: str
    attempts: int = 0
    best: float | None = None
    evaluation: float | None = None
    changed: float | None = None
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def key(self) -> tuple[float, float]:
        """What teams are ranked by: the evaluation, and before it the best validation."""
        return (-1.0 if self.evaluation is None else self.evaluation, -1.0 if self.best is None else self.best)

    def add(self, attempt: Attempt) -> None:
        """Take an attempt in."""
        self.attempts += 1
        self.changed = max(self.changed or 0.0, float(attempt.finished_at or attempt.enqueued_at))
        if attempt.status != DONE:
            return
        score, at = published(attempt.score), iso(attempt.finished_at)
        self.history.append({"at": at, "type": attempt.kind, "score": score, "uuid": attempt.id})
        if attempt.kind == EVALUATION:
            self.evaluation = score
        else:
            self.best = max(score or 0.0, self.best or 0.0)


@dataclass
class _Board:
    """The teams' scores on one collection of images."""

    name: str
    rows: dict[str, _Row] = field(default_factory=dict)

    def shown(self, limit: int) -> dict[str, Any]:
        ranked = sorted(self.rows.values(), key=lambda row: (*(-part for part in row.key), row.team))
        evaluated = sum(row.evaluation is not None for row in ranked)
        teams = [_shown(row, ranked, evaluated) for row in ranked[:limit]]
        return {"set": self.name, "teams": teams, "count": len(ranked)}


def points(place: int, teams: int) -> float:
    """Points of a place, 1 being the first: as in Formula 1, and below the tenth evenly from 1 towards 0."""
    if place <= len(POINTS):
        return float(POINTS[place - 1])
    return (teams - place + 1) / (teams - len(POINTS) + 1)


def make_scoreboard(db: Database, sets: Sets, limit: int) -> dict[str, Any]:
    """All teams with an attempt on the present images, the best first, and below them those on `earlier` images.

    Nothing in it is about a single image.
    """
    present = _Board(describe_images(sets.source, len(sets.validation)))
    boards: dict[str, _Board] = {}
    with db.read() as session:
        query = select(Attempt, Team.name).join(Team, Attempt.team_id == Team.id)
        for attempt, name in session.execute(query.order_by(Attempt.finished_at, Attempt.id)):
            board = present
            if (key := _collection(attempt, sets)) not in (NO_IMAGES_YET, sets.collection):
                board = boards.setdefault(key, _Board(describe_images(attempt.source, attempt.total)))
            board.rows.setdefault(attempt.team_id, _Row(name)).add(attempt)
    earlier = [board.shown(limit) for board in boards.values()]
    return present.shown(limit) | {"earlier": earlier[::-1]}


def _collection(attempt: Attempt, sets: Sets) -> str:
    if attempt.collection is not None:
        return attempt.collection
    # Begun before collections were noted: then the set alone tells.
    ours = (None, sets.validation.fingerprint, sets.test.fingerprint)
    return NO_IMAGES_YET if attempt.image_set in ours else str(attempt.image_set)


def _shown(row: _Row, ranked: list[_Row], evaluated: int) -> dict[str, Any]:
    rank = 1 + sum(other.key > row.key for other in ranked)
    return {
        "rank": rank,
        "team": row.team,
        "best_validation_score": row.best,
        "evaluation_score": row.evaluation,
        "points": None if row.evaluation is None else round(points(rank, evaluated), 2),
        "attempts": row.attempts,
        "last_change": iso(row.changed),
        "history": row.history[-HISTORY:],
    }
