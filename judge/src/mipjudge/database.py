"""The database: SQLite without any set-up, PostgreSQL by its URL; the same code on both."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, event, make_url, text
from sqlalchemy.orm import Session

LOCK_WAIT_S = 8  # a request that waits longer for a lock is answered with 503
_STANDSTILL_S = 8  # a worker that stands still in a transaction must not keep its rows from the others
_MIGRATION_LOCK = 0x6D6970  # any number that nobody else uses


class Database:
    """Transactions on one database, whose tables are brought up to date first.

    Args:
        url: SQLAlchemy's URL.
        lock_wait_s: seconds until waiting for another's write lock is given up.
        standstill_s: seconds without a statement after which PostgreSQL ends a transaction; SQLite has no such limit.
    """

    def __init__(self, url: str, lock_wait_s: float = LOCK_WAIT_S, standstill_s: float = _STANDSTILL_S) -> None:
        self._is_sqlite = make_url(url).get_backend_name() == "sqlite"
        if self._is_sqlite:
            Path(make_url(url).database or "").parent.mkdir(0o700, parents=True, exist_ok=True)
            arguments: dict[str, Any] = {"timeout": lock_wait_s}
        else:
            limits_s = {"lock_timeout": lock_wait_s, "idle_in_transaction_session_timeout": standstill_s}
            options = " ".join(f"-c {name}={int(seconds * 1000)}" for name, seconds in limits_s.items())
            arguments = {"connect_timeout": 5, "options": options}
        # hide_parameters: an error goes to the log, and what teams sent does not.
        self.engine = create_engine(url, connect_args=arguments, hide_parameters=True, pool_pre_ping=True)
        self._writing = self.engine.execution_options(immediate=True)
        self._unsynced = self.engine.execution_options(immediate=True, synchronous="NORMAL")
        if self._is_sqlite:
            event.listen(self.engine, "connect", lambda connection, _: _prepare_sqlite(connection, lock_wait_s))
            event.listen(self.engine, "begin", _begin_sqlite)
        self._migrate()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads; it waits for no writer."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self, *, synced: bool = True) -> Iterator[Session]:
        """A transaction that writes; on SQLite it holds the one write lock from its first statement on.

        Args:
            synced: whether its end waits for the disk. One that does not wait survives the death of every process; a
                power cut may take it back, unless one that waits came after it.
        """
        engine = self._writing if synced else self._unsynced
        with Session(engine, expire_on_commit=False) as session, session.begin():
            if not synced and not self._is_sqlite:
                session.execute(text("SET LOCAL synchronous_commit = off"))
            yield session

    def now(self, session: Session) -> float:
        """Seconds since 1970 by the one clock that all workers share."""
        if self._is_sqlite:  # then all of them are on one machine
            session.connection()  # waits for the write lock: a time from before it would not be in the order of writes
            return time.time()
        return float(session.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    def _migrate(self) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
        with self._writing.begin() as connection:  # several judges may start at once
            if not self._is_sqlite:
                # On a busy machine Alembic may take longer between two statements than a worker may.
                connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _prepare_sqlite(connection: Any, lock_wait_s: float) -> None:
    connection.isolation_level = None  # the driver shall not begin transactions by itself
    connection.execute("PRAGMA foreign_keys=ON")
    # Of several that change a new database to WAL at once, SQLite tells all but one that it is locked, without waiting.
    give_up = time.monotonic() + lock_wait_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql(f"PRAGMA synchronous={options.get('synchronous', 'FULL')}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("immediate") else "BEGIN")
