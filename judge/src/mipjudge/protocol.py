"""The championship's calls, under `/api/v1/usecases/tumor-segmentation`, and the local team."""

from functools import cache
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from mipjudge import store
from mipjudge.answers import USECASE, attempt_answer, iso
from mipjudge.errors import RateLimitError
from mipjudge.models import EVALUATION, VALIDATION, Attempt, Team
from mipjudge.scoring import judge_reply
from mipjudge.sender import UNREACHABLE, Reply, Sender
from mipjudge.service import Json, Judge, JudgeRoute, Token, no_store
from mipjudge.target import MAX_URL, parse_endpoint
from mipseg.addresses import is_loopback
from mipseg.io.codec import encode_request
from mipseg.io.dataset import SAMPLE_PHANTOM, Case
from mipseg.phantom import make_phantom
from mipseg.serving.problems import ProblemError

BASE = f"/api/v1/usecases/{USECASE}"
_QUEUES = {"validate": VALIDATION, "evaluate": EVALUATION}


class UrlBody(BaseModel):
    """A team's endpoint."""

    url: Annotated[str, Field(max_length=MAX_URL)]


class LocalTeamBody(BaseModel):
    """A local team's name."""

    name: str = "local"


def make_protocol(judge: Judge) -> APIRouter:
    """The routes that the clients of the championship know."""
    router = APIRouter(tags=["judge"], route_class=JudgeRoute)

    @router.get(f"{BASE}/status")
    def status(x_token: Token = None) -> Json:
        """The use case's state for this team."""
        team = judge.team(x_token)
        return {
            "usecase_name": USECASE,
            "team_uuid": team.id,
            "team": team.name,
            "images": {
                "source": judge.sets.source,
                "validation": len(judge.sets.validation),
                "test": len(judge.sets.test),
            },
            "evaluation": {
                "opens_at": iso(store.evaluation_opens_at(judge.db)),
                "used": store.has_evaluated(judge.db, team),
            },
        }

    @router.post(f"{BASE}/verify")
    async def verify(body: UrlBody, x_token: Token = None) -> Json:
        """Send one phantom to the endpoint and tell what came back."""

        def begin() -> tuple[Case, bytes]:
            team = judge.team(x_token)
            judge.policy.addresses(parse_endpoint(body.url))
            if not store.may_verify(judge.db, team, judge.settings.verify_interval_s):
                raise RateLimitError("wait a moment between two connection tests", 1)
            return _sample()

        case, request = await run_in_threadpool(begin)
        async with Sender(judge.policy, judge.settings) as sender:
            reply = await sender.send(body.url, request)
        return await run_in_threadpool(_verified, case, reply)

    for name, kind in _QUEUES.items():
        _add_queue(router, judge, f"{BASE}/{name}/queue", kind)
    _add_local_team(router, judge)
    return router


def _add_queue(router: APIRouter, judge: Judge, path: str, kind: str) -> None:
    @router.post(path, name=f"queue_{kind}")
    def enqueue(body: UrlBody, x_token: Token = None) -> Json:
        """Queue an attempt; of evaluations a team has one."""
        team = judge.team(x_token)
        judge.policy.addresses(parse_endpoint(body.url))
        limits = (judge.settings.max_waiting, judge.settings.validations_per_hour)
        attempt = store.enqueue(judge.db, team, kind, body.url, limits)
        return attempt_answer(judge.db, team, attempt)

    # `:path` so that an id with a slash in it is unknown like any other, not redirected.
    @router.get(f"{path}/{{queued_attempt_uuid:path}}", name=f"find_{kind}")
    def find(queued_attempt_uuid: str, response: Response, x_token: Token = None) -> Json:
        """Where an attempt stands."""
        no_store(response)
        team = judge.team(x_token)
        return attempt_answer(judge.db, team, own_attempt(judge, team, queued_attempt_uuid, kind))


def own_attempt(judge: Judge, team: Team, attempt_id: str, kind: str | None = None) -> Attempt:
    """A team's own attempt.

    Raises:
        ProblemError: 404, it has no such attempt.
    """
    attempt = store.find_attempt(judge.db, team, attempt_id, kind)
    if attempt is None:
        raise ProblemError("unknown-attempt", "this team has no such attempt")
    return attempt


def _add_local_team(router: APIRouter, judge: Judge) -> None:
    @router.post("/api/v1/local/team")
    def local_team(request: Request, response: Response, body: LocalTeamBody | None = None) -> Json:
        """Get the token of a team on this machine; there is none on a judge that others can reach."""
        if not (judge.settings.is_local and is_loopback(judge.settings.host) and _is_from_here(request)):
            raise ProblemError("not-found", "this judge makes no local teams; ask its operator for a token")
        no_store(response)
        team, token, made = store.local_team(judge.db, (body or LocalTeamBody()).name)
        response.status_code = 201 if made else 200
        sets = judge.sets
        images = "patients of the data set" if sets.source == "dataset" else "phantoms, as no data set is installed"
        message = f"local judge, scoring on {len(sets.validation)} {images}"
        return {"team_uuid": team.id, "team": team.name, "token": token, "message": message, "images": sets.source}


def _is_from_here(request: Request) -> bool:
    # The host's name as well: a web page elsewhere may point a name of its own at 127.0.0.1.
    fetch = request.headers.get("sec-fetch-site", "none")
    caller = request.client.host if request.client else ""
    return is_loopback(caller) and is_loopback(request.url.hostname or "") and fetch in ("none", "same-origin")


@cache
def _sample() -> tuple[Case, bytes]:
    phantom = make_phantom(SAMPLE_PHANTOM)
    image = np.repeat(phantom.mip[:, :, None], 3, axis=2)
    return Case("sample", phantom.mip, phantom.mask), b'{"img":"' + encode_request(image).encode() + b'"}'


def _verified(case: Case, reply: Reply) -> dict[str, Any]:
    """The answer of the connection test. Nothing of a reply is passed on but a sound mask: it may be anybody's."""
    can_connect = reply.status is not None
    judged = judge_reply(case.image.shape, reply.content) if reply.reason is None else None
    good = judged is not None and judged.mask is not None
    if judged is not None and good:
        message = "Successfully connected and received prediction."
    elif judged is not None:
        message = f"Connected, but the prediction can't be used: {judged.detail}"
    elif reply.reason == UNREACHABLE:
        message = "Nobody answers at the URL."
    else:
        message = f"No usable answer: {reply.reason}"
    return {
        "can_connect": can_connect,
        "can_predict": good,
        "sample": encode_request(case.image),
        "response": {"img": judged.img} if judged is not None and good else None,
        "response_status_code": reply.status,
        "detail": {"message": message},
    }
