"""Teams, attempts, results and settings."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _only_where(name: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, "attempts", ["team_id"], unique=True, sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "teams",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False, unique=True),
        sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("verified_at", sa.Double, nullable=False),
    )
    op.create_table(
        "attempts",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("team_id", sa.String(32), sa.ForeignKey("teams.id"), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("url", sa.String(2048), nullable=False),
        sa.Column("status", sa.String(7), nullable=False),
        sa.Column("enqueued_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("finished_at", sa.Double),
        sa.Column("score", sa.Double),
        sa.Column("failure", sa.String(32)),
        sa.Column("image_set", sa.String(64)),
        sa.Column("total", sa.Integer),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("lease_until", sa.Double, nullable=False),
        sa.Column("worker", sa.String(128)),
        sa.CheckConstraint("kind IN ('validation', 'evaluation')", name="attempt_kind"),
        sa.CheckConstraint("status IN ('queued', 'running', 'done', 'failed')", name="attempt_status"),
        sa.CheckConstraint("score >= 0 AND score <= 1", name="attempt_score"),
        sa.CheckConstraint("status <> 'done' OR score IS NOT NULL", name="attempt_done_has_score"),
    )
    _only_where("one_evaluation_per_team", "kind = 'evaluation'")
    _only_where("one_running_per_team", "status = 'running'")
    op.create_index("attempts_by_status", "attempts", ["status", "enqueued_at"])
    op.create_index("attempts_by_team", "attempts", ["team_id", "enqueued_at"])
    op.create_table(
        "results",
        sa.Column("attempt_id", sa.String(32), sa.ForeignKey("attempts.id"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("score", sa.Double, nullable=False),
        sa.Column("reason", sa.String(32)),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("mask", sa.LargeBinary),
        sa.CheckConstraint("score >= 0 AND score <= 1", name="result_score"),
    )
    op.create_table(
        "settings",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("value", sa.String(256), nullable=False),
    )


def downgrade() -> None:
    """Remove the tables."""
    for table in ("results", "attempts", "teams", "settings"):
        op.drop_table(table)
