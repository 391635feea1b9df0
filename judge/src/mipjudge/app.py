"""The judge as a router for any application, and as an application of its own."""

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import RedirectResponse
from fastapi_offline import FastAPIOffline

from mipjudge.local import check_caller
from mipjudge.pages import make_pages
from mipjudge.protocol import make_protocol
from mipjudge.service import Judge
from mipjudge.settings import JudgeSettings
from mipjudge.target import AddressPolicy
from mipseg.serving import problems
from mipseg.serving.headers import HeadAsGet, SafeHeaders
from mipseg.serving.limits import BodyLimits
from mipseg.serving.observe import Metrics, Observe
from mipseg.serving.openapi import describe_api
from mipseg.serving.pages import add_pages
from mipseg.serving.serve import configure_logging
from mipseg.settings import Settings


def create_judge(settings: JudgeSettings, policy: AddressPolicy | None = None) -> APIRouter:
    """The judge's routes; its workers run while the application that includes them does.

    Args:
        settings: see there; `host` must be where the application listens, since that decides what is local.
        policy: which addresses may be called; None: as the settings say.
    """
    judge = Judge(settings, policy)
    guards = [Depends(check_caller)] if settings.is_local else []
    router = APIRouter(lifespan=judge.lifespan, redirect_slashes=False)
    for part in (make_protocol(judge), make_pages(judge)):
        router.include_router(part, dependencies=guards)
    return router


def create_app(settings: JudgeSettings, policy: AddressPolicy | None = None) -> FastAPI:
    """The judge alone."""
    app = FastAPIOffline(
        docs_url=None,
        redoc_url=None,
        title="MIPseg judge",
        description="A championship's judge.",
        redirect_slashes=False,
    )
    problems.install(app)
    app.include_router(create_judge(settings, policy))

    @app.get("/livez", tags=["health"])
    async def livez() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/", include_in_schema=False)
    async def index() -> RedirectResponse:
        return RedirectResponse("scoreboard")

    add_pages(app)
    app.openapi = lambda: describe_api(app)  # type: ignore[method-assign]  # FastAPI's own way to extend the schema
    app.add_middleware(HeadAsGet)
    app.add_middleware(BodyLimits, settings=Settings())
    app.add_middleware(SafeHeaders)
    app.add_middleware(Observe, metrics=Metrics())
    problems.add_request_ids(app)
    return app


def make_app() -> FastAPI:
    """Build the judge from its settings."""
    configure_logging()
    return create_app(JudgeSettings())
