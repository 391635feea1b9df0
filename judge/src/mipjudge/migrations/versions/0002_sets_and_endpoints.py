"""Which images an attempt was scored on, what its endpoint said of itself, and why an image scored 0.

An evaluation that was cancelled before it began no longer counts as the team's one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ATTEMPT = (("source", sa.String(16)), ("collection", sa.String(16)), ("api_start", sa.Text), ("api_end", sa.Text))


def _one_evaluation(condition: str) -> None:
    op.drop_index("one_evaluation_per_team", "attempts")
    where = sa.text(condition)
    op.create_index(
        "one_evaluation_per_team", "attempts", ["team_id"], unique=True, sqlite_where=where, postgresql_where=where
    )


def upgrade() -> None:
    """Add the columns."""
    for name, kind in _ATTEMPT:
        op.add_column("attempts", sa.Column(name, kind))
    op.add_column("results", sa.Column("detail", sa.String(300)))
    _one_evaluation("kind = 'evaluation' AND (started_at IS NOT NULL OR status <> 'failed')")


def downgrade() -> None:
    """Remove them."""
    _one_evaluation("kind = 'evaluation'")
    op.drop_column("results", "detail")
    for name, _ in _ATTEMPT:
        op.drop_column("attempts", name)
