"""The scoreboard: ranks, Formula 1 points, and each team's history."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from mipjudge.answers import iso
from mipjudge.database import Database
from mipjudge.models import DONE, EVALUATION, Attempt, Team

POINTS = (25, 18, 15, 12, 10, 8, 6, 4, 2, 1)
HISTORY = 50  # latest scores that are shown of a team


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


def points(place: int, teams: int) -> float:
    """Points of a place, 1 being the first: as in Formula 1, and below the tenth evenly from 1 towards 0."""
    if place <= len(POINTS):
        return float(POINTS[place - 1])
    return (teams - place + 1) / (teams - len(POINTS) + 1)


def make_scoreboard(db: Database, limit: int) -> dict[str, Any]:
    """All teams with an attempt, the best first. Nothing in it is about a single image."""
    columns = select(
        Team.id, Team.name, Attempt.kind, Attempt.status, Attempt.score, Attempt.finished_at, Attempt.enqueued_at
    )
    rows: dict[str, _Row] = {}
    with db.read() as session:
        query = columns.join(Attempt, Attempt.team_id == Team.id).order_by(Attempt.finished_at, Attempt.id)
        for team_id, name, kind, status, score, finished_at, enqueued_at in session.execute(query):
            row = rows.setdefault(team_id, _Row(name))
            row.attempts += 1
            row.changed = max(row.changed or 0.0, float(finished_at or enqueued_at))
            if status != DONE:
                continue
            row.history.append({"at": iso(finished_at), "type": kind, "score": score})
            if kind == EVALUATION:
                row.evaluation = score
            else:
                row.best = max(score or 0.0, row.best or 0.0)
    ranked = sorted(rows.values(), key=lambda row: (*(-part for part in row.key), row.team))
    evaluated = sum(row.evaluation is not None for row in ranked)
    return {"teams": [_shown(row, ranked, evaluated) for row in ranked[:limit]], "count": len(ranked)}


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
