"""Alembic's entry: migrates over the connection that `mipjudge.database` hands it."""

from alembic import context

from mipjudge.models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
