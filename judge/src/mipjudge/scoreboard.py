"""The scoreboard: ranks, Formula 1 points, and each team's history; scores of different images are kept apart."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from threading import Lock
from typing import Any, TypeAlias

from sqlalchemy import Row, select

from mipjudge.answers import iso, published
from mipjudge.database import Database
from mipjudge.models import DONE, EVALUATION, Attempt, Team
from mipjudge.sets import Sets, describe_images

POINTS = (25, 18, 15, 12, 10, 8, 6, 4, 2, 1)
HISTORY = 50  # latest scores that are shown of a team
MAX_TEAMS = 1000
FRESH_S = 2.0
NO_IMAGES_YET = ""  # key of attempts that have not begun
Board = dict[str, Any]
AttemptRow: TypeAlias = "Row[*tuple[Any, ...]]"
# Not the whole rows: the texts about endpoints in them are kilobytes each.
_COLUMNS = (
    Attempt.id, Attempt.team_id, Team.name, Attempt.kind, Attempt.status, Attempt.score, Attempt.enqueued_at,
    Attempt.finished_at, Attempt.source, Attempt.collection, Attempt.image_set, Attempt.total,
)  # fmt: skip


@dataclass
class _Row:
    team: str
    attempts: int = 0
    best: float | None = None
    evaluation: float | None = None
    changed: float | None = None
    history: deque[AttemptRow] = field(default_factory=lambda: deque(maxlen=HISTORY))

    @property
    def key(self) -> tuple[float, float]:
        """What teams are ranked by: the evaluation, and before it the best validation."""
        return (-1.0 if self.evaluation is None else self.evaluation, -1.0 if self.best is None else self.best)

    def add(self, attempt: AttemptRow) -> None:
        """Take an attempt in."""
        self.attempts += 1
        self.changed = max(self.changed or 0.0, float(attempt.finished_at or attempt.enqueued_at))
        if attempt.status != DONE:
            return
        self.history.append(attempt)
        score = published(attempt.score)
        if attempt.kind == EVALUATION:
            self.evaluation = score
        else:
            self.best = max(score or 0.0, self.best or 0.0)


@dataclass
class _Board:
    """The teams' scores on one collection of images."""

    name: str
    rows: dict[str, _Row] = field(default_factory=dict)

    def shown(self) -> Board:
        ranked = sorted(self.rows.values(), key=lambda row: (*(-part for part in row.key), row.team))
        evaluated = sum(row.evaluation is not None for row in ranked)
        teams: list[dict[str, Any]] = []
        for _, tied in groupby(ranked, key=lambda row: row.key):
            rank = len(teams) + 1
            teams += [_shown(row, rank, evaluated) for row in tied]
        return {"set": self.name, "teams": teams[:MAX_TEAMS], "count": len(ranked)}


def points(place: int, teams: int) -> float:
    """Points of a place, 1 being the first: as in Formula 1, and below the tenth evenly from 1 towards 0."""
    if place <= len(POINTS):
        return float(POINTS[place - 1])
    return (teams - place + 1) / (teams - len(POINTS) + 1)


def kept(make: Callable[[], Board], clock: Callable[[], float] = time.monotonic) -> Callable[[], Board]:
    """A function that makes a scoreboard at most every `FRESH_S` seconds, however many ask; nobody may change it."""
    lock, board, until = Lock(), Board(), -1.0

    def get() -> Board:
        nonlocal board, until
        with lock:
            if clock() >= until:
                board = make()
                until = clock() + FRESH_S
            return board

    return get


def make_scoreboard(db: Database, sets: Sets) -> Board:
    """The best teams on the present images, and below them those on `earlier` images.

    Nothing in it is about a single image.
    """
    present = _Board(describe_images(sets.source, len(sets.validation)))
    boards: dict[str, _Board] = {}
    with db.read() as session:
        query = select(*_COLUMNS).join(Team, Attempt.team_id == Team.id)
        for attempt in session.execute(query.order_by(Attempt.finished_at, Attempt.id)):
            board = present
            if (key := _collection(attempt, sets)) not in (NO_IMAGES_YET, sets.collection):
                board = boards.setdefault(key, _Board(describe_images(attempt.source, attempt.total)))
            board.rows.setdefault(attempt.team_id, _Row(attempt.name)).add(attempt)
    earlier = [board.shown() for board in boards.values()]
    return present.shown() | {"earlier": earlier[::-1]}


def _collection(attempt: AttemptRow, sets: Sets) -> str:
    if attempt.collection is not None:
        return str(attempt.collection)
    # Begun before collections were noted: then the set alone tells.
    ours = (None, sets.validation.fingerprint, sets.test.fingerprint)
    return NO_IMAGES_YET if attempt.image_set in ours else str(attempt.image_set)


def _shown(row: _Row, rank: int, evaluated: int) -> dict[str, Any]:
    return {
        "rank": rank,
        "team": row.team,
        "best_validation_score": row.best,
        "evaluation_score": row.evaluation,
        "points": None if row.evaluation is None else round(points(rank, evaluated), 2),
        "attempts": row.attempts,
        "last_change": iso(row.changed),
        "history": [
            {"at": iso(one.finished_at), "type": one.kind, "score": published(one.score), "uuid": one.id}
            for one in row.history
        ],
    }
