"""The tables. Times are seconds since 1970, ids are 32 hex digits."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

VALIDATION, EVALUATION = "validation", "evaluation"
QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
# An evaluation that was cancelled before it began gives the team its one evaluation back.
USED_EVALUATION = "kind = 'evaluation' AND (started_at IS NOT NULL OR status <> 'failed')"


def _only_where(name: str, column: str, condition: str) -> Index:
    """A partial unique index: at most one row per value among those that fulfil the condition."""
    return Index(name, column, unique=True, sqlite_where=text(condition), postgresql_where=text(condition))


class Base(DeclarativeBase):
    """Base of the tables."""


class Team(Base):
    """Who takes part; of the token only the SHA-256 is kept."""

    __tablename__ = "teams"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[float]
    verified_at: Mapped[float] = mapped_column(default=0.0)


class Attempt(Base):
    """One run over a set; also the queue: see `mipjudge.attempt_queue` for `fence`, `lease_until` and `worker`.

    `source` and `collection` name the images (see `mipjudge.sets`), `api_start` and `api_end` hold what the endpoint
    said of itself before the first and after the last image, as JSON.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        CheckConstraint("kind IN ('validation', 'evaluation')", name="attempt_kind"),
        CheckConstraint("status IN ('queued', 'running', 'done', 'failed')", name="attempt_status"),
        CheckConstraint("score >= 0 AND score <= 1", name="attempt_score"),
        CheckConstraint("status <> 'done' OR score IS NOT NULL", name="attempt_done_has_score"),
        _only_where("one_evaluation_per_team", "team_id", USED_EVALUATION),
        _only_where("one_running_per_team", "team_id", "status = 'running'"),
        Index("attempts_by_status", "status", "enqueued_at"),
        Index("attempts_by_team", "team_id", "enqueued_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.id"))
    kind: Mapped[str] = mapped_column(String(10))
    url: Mapped[str] = mapped_column(String(2048))
    status: Mapped[str] = mapped_column(String(7), default=QUEUED)
    enqueued_at: Mapped[float]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]
    score: Mapped[float | None]
    failure: Mapped[str | None] = mapped_column(String(32))
    image_set: Mapped[str | None] = mapped_column(String(64))
    total: Mapped[int | None]
    source: Mapped[str | None] = mapped_column(String(16))
    collection: Mapped[str | None] = mapped_column(String(16))
    api_start: Mapped[str | None] = mapped_column(Text)
    api_end: Mapped[str | None] = mapped_column(Text)
    fence: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[float] = mapped_column(default=0.0)
    worker: Mapped[str | None] = mapped_column(String(128))


class Result(Base):
    """The score of one image of an attempt; the mask is kept for the worst of a validation only."""

    __tablename__ = "results"
    __table_args__ = (CheckConstraint("score >= 0 AND score <= 1", name="result_score"),)

    attempt_id: Mapped[str] = mapped_column(ForeignKey("attempts.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    score: Mapped[float]
    reason: Mapped[str | None] = mapped_column(String(32))
    detail: Mapped[str | None] = mapped_column(String(300))
    seconds: Mapped[float]
    mask: Mapped[bytes | None] = mapped_column(LargeBinary)


class Setting(Base):
    """What the operator set, and the secret behind the tokens of local teams."""

    __tablename__ = "settings"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(String(256))
