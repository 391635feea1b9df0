"""The running judge: database, sets, rules for addresses and workers, built when the application starts."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import anyio.to_thread
import structlog
from fastapi import FastAPI, Header, Request, Response
from fastapi.routing import APIRoute
from sqlalchemy.exc import SQLAlchemyError

from mipjudge import store
from mipjudge.database import Database
from mipjudge.errors import JudgeError, RateLimitError
from mipjudge.lookups import Lookups
from mipjudge.models import Attempt, Team
from mipjudge.runner import Worker, WorkerPool
from mipjudge.sets import PHANTOMS, Sets, build_sets
from mipjudge.settings import JudgeSettings
from mipjudge.target import AddressPolicy
from mipseg.http.local_secret import make_secret
from mipseg.serving.problems import ProblemError

Token = Annotated[str | None, Header(alias="x-token", description="the team's token")]
_log = structlog.get_logger()


@dataclass(frozen=True)
class Resources:
    """What a running judge works with."""

    db: Database
    sets: Sets


class Judge:
    """The judge behind the routes.

    Args:
        settings: see there.
        policy: which addresses may be called; None: as the settings say.
    """

    def __init__(self, settings: JudgeSettings, policy: AddressPolicy | None = None) -> None:
        self.settings = settings
        self.policy = policy or AddressPolicy(settings.allowed_networks)
        self.lookups = Lookups(self.policy, settings.validations_per_hour)
        self._resources: Resources | None = None

    @property
    def db(self) -> Database:
        """The database."""
        return self._opened.db

    @property
    def sets(self) -> Sets:
        """The validation and the test set."""
        return self._opened.sets

    @property
    def _opened(self) -> Resources:
        if self._resources is None:
            raise ProblemError("judge-unavailable", "the judge could not start; see the log", {"Retry-After": "5"})
        return self._resources

    def open(self) -> Resources:
        """Open the database and choose the sets."""
        # At INFO, httpx would log the endpoints' URLs, which are not ours to log.
        for name in ("httpx", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        if self.settings.is_local:
            try:
                make_secret(self.settings.dir)  # now, as clients read it before they call
            except OSError as error:
                _log.warning("no_local_teams", error=type(error).__name__)
        sets = build_sets(self.settings)
        if not self.settings.is_local and sets.source == PHANTOMS and "seed" not in self.settings.model_fields_set:
            _log.warning("known_seed", advice="teams can draw these phantoms; set MIPSEG_JUDGE_SEED to a secret number")
        self._resources = Resources(Database(self.settings.sqlalchemy_url), sets)
        return self._resources

    def team(self, token: str | None) -> Team:
        """Who calls.

        Raises:
            ProblemError: 401, no token or one that is nobody's.
        """
        team = store.find_team(self.db, token) if token and len(token) <= 256 else None
        if team is None:
            raise ProblemError("bad-token", "the header x-token must hold the team's token")
        return team

    def shown_masks(self, attempt: Attempt) -> dict[int, bytes]:
        """From position to mask: the worst images of a validation that may be shown beside their references.

        None on a judge for others, where a team that answers with empty masks would see the references as its faults.
        """
        if not self.settings.is_local or attempt.image_set != self.sets.validation.fingerprint:
            return {}
        return store.worst_masks(self.db, attempt)

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Work while the application runs. A judge that can't start takes nothing else down with it."""
        pool = WorkerPool([])
        try:
            opened = await anyio.to_thread.run_sync(self.open)
            number = self.settings.workers
            pool = WorkerPool([Worker(opened.db, opened.sets, self.settings, self.policy) for _ in range(number)])
            pool.start()
            _log.info("judge_ready", images=opened.sets.source, local=self.settings.is_local, workers=number)
        except Exception:
            _log.exception("judge_failed")
        yield
        await anyio.to_thread.run_sync(pool.stop)
        if self._resources is not None:
            self._resources.db.close()


class JudgeRoute(APIRoute):
    """A route that answers the judge's errors in the one shape, wherever it is mounted."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """Wrap FastAPI's handler."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except JudgeError as error:
                raise as_problem(error) from error
            except SQLAlchemyError as error:  # locked for too long, disk full, server away
                _log.error("judge_database", error=type(error).__name__)
                detail = "the judge's database is busy or away"
                raise ProblemError("database-unavailable", detail, {"Retry-After": "5"}) from None

        return handle


def as_problem(error: JudgeError) -> ProblemError:
    """The answer to a refused request."""
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, RateLimitError) else None
    return ProblemError(error.code, str(error), headers)


def no_store(response: Response) -> None:
    """Keep an answer with a token or a team's own results out of caches."""
    response.headers["Cache-Control"] = "no-store"


Json = dict[str, Any]
