"""The championship's calls, under `/api/v1/usecases/tumor-segmentation`, and the local team."""

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from mipjudge import attempt_queue, store
from mipjudge.answers import USECASE, attempt_answer, iso, listed_answer, other_answer, run_answer
from mipjudge.bodies import body_of, schema_of
from mipjudge.errors import RateLimitError
from mipjudge.local import check_secret
from mipjudge.models import EVALUATION, VALIDATION, Attempt, Team
from mipjudge.sender import UNREACHABLE, Reply, Sender
from mipjudge.service import Json, Judge, JudgeRoute, Token, no_store
from mipjudge.sets import DATASET, describe_images
from mipjudge.target import MAX_URL, parse_endpoint
from mipseg.endpoint.reply import judge_reply
from mipseg.http.problem_codes import PROBLEMS
from mipseg.io.codec import encode_request
from mipseg.io.dataset import SAMPLE_PHANTOM
from mipseg.phantom import make_phantom
from mipseg.serving.problems import ProblemError

MAX_LISTED = 100  # of a team's attempts
BASE = f"/api/v1/usecases/{USECASE}"
_QUEUES = {"validate": VALIDATION, "evaluate": EVALUATION}


class UrlBody(BaseModel):
    """A team's endpoint."""

    url: Annotated[str, Field(max_length=MAX_URL)]


class LocalTeamBody(BaseModel):
    """A local team's name."""

    name: str = "local"


Endpoint = Annotated[UrlBody, Depends(body_of(UrlBody))]


def make_protocol(judge: Judge) -> APIRouter:
    """The routes that the clients of the championship know."""
    router = APIRouter(tags=["judge"], route_class=JudgeRoute)

    @router.get(f"{BASE}/status")
    def status(response: Response, x_token: Token = None) -> Json:
        """The use case's state for this team, with its latest attempts."""
        no_store(response)
        team, db = judge.team(x_token), judge.db
        attempts = store.attempts_of(db, team, MAX_LISTED)
        opens_at, used = store.evaluation_opens_at(db), store.has_evaluated(db, team)
        sizes = {"validation": len(judge.sets.validation), "test": len(judge.sets.test)}
        return {
            "usecase_name": USECASE,
            "team_uuid": team.id,
            "team": team.name,
            "images": {"source": judge.sets.source, **sizes},
            "evaluation": {"opens_at": iso(opens_at), "used": used},
            "validations": [listed_answer(attempt) for attempt in attempts if attempt.kind == VALIDATION],
            "n_validations": store.count_attempts(db, team, VALIDATION),
            "evaluations": [listed_answer(attempt) for attempt in attempts if attempt.kind == EVALUATION],
        }

    @router.post(f"{BASE}/verify", openapi_extra=schema_of(UrlBody))
    async def verify(body: Endpoint, x_token: Token = None) -> Json:
        """Send one phantom to the endpoint and tell what came back."""

        def begin() -> Team:
            team = judge.team(x_token)
            parse_endpoint(body.url)
            if not store.may_verify(judge.db, team, judge.settings.verify_interval_s):
                raise RateLimitError("wait a moment between two connection tests", 1)
            return team

        await judge.lookups.check((await run_in_threadpool(begin)).id, body.url)
        sample = await run_in_threadpool(_sample)
        async with Sender(judge.policy, judge.settings) as sender:
            reply = await sender.send(body.url, sample.request)
        return await run_in_threadpool(_verified, sample, reply)

    @router.get("/api/v1/validation/{uuid}")
    def other_status(uuid: str, response: Response, x_token: Token = None) -> Json:
        """Where an attempt stands, in the words of other clients."""
        no_store(response)
        return other_answer(judge.db, own_attempt(judge, judge.team(x_token), uuid))

    for name, kind in _QUEUES.items():
        _add_queue(router, judge, f"{BASE}/{name}/queue", kind)
    _add_local_team(router, judge)
    return router


def _add_queue(router: APIRouter, judge: Judge, path: str, kind: str) -> None:
    limits = (judge.settings.max_waiting, judge.settings.validations_per_hour)

    def found(uuid: str, response: Response, token: str | None) -> Attempt:
        no_store(response)
        return own_attempt(judge, judge.team(token), uuid, kind)

    # 200, not 202: clients that others wrote take anything else for a failure.
    @router.post(path, name=f"queue_{kind}", openapi_extra=schema_of(UrlBody))
    async def enqueue(body: Endpoint, x_token: Token = None) -> Json:
        """Queue an attempt; of evaluations a team has one."""

        def begin() -> Team:
            team = judge.team(x_token)
            parse_endpoint(body.url)
            store.check(judge.db, team, kind, limits)  # before the name is looked up
            return team

        def end(team: Team) -> Json:
            return attempt_answer(judge.db, store.enqueue(judge.db, team, kind, body.url, limits))

        team = await run_in_threadpool(begin)
        await judge.lookups.check(team.id, body.url)
        return await run_in_threadpool(end, team)

    @router.get(f"{path}/{{queued_attempt_uuid}}/attempt", name=f"run_{kind}")
    def run(queued_attempt_uuid: str, response: Response, x_token: Token = None) -> Json:
        """The attempt alone: times, address, score and errors."""
        attempt = found(queued_attempt_uuid, response, x_token)
        return run_answer(attempt, store.results_of(judge.db, attempt)) | {"status": attempt.status}

    # `:path` so that an id with a slash in it is unknown like any other, not redirected.
    @router.get(f"{path}/{{queued_attempt_uuid:path}}", name=f"find_{kind}")
    def find(queued_attempt_uuid: str, response: Response, x_token: Token = None) -> Json:
        """Where an attempt stands."""
        return attempt_answer(judge.db, found(queued_attempt_uuid, response, x_token))

    @router.delete(f"{path}/{{queued_attempt_uuid}}", name=f"cancel_{kind}")
    def cancel(queued_attempt_uuid: str, response: Response, x_token: Token = None) -> Json:
        """Cancel an attempt that is queued or running; an evaluation that has not begun can be made again."""
        attempt = found(queued_attempt_uuid, response, x_token)
        if not attempt_queue.cancel(judge.db, attempt.id):
            raise ProblemError("attempt-over", "the attempt is over already")
        return attempt_answer(judge.db, found(queued_attempt_uuid, response, x_token))


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
    Name = Annotated[LocalTeamBody, Depends(body_of(LocalTeamBody))]

    @router.post("/api/v1/local/team", openapi_extra=schema_of(LocalTeamBody))
    def local_team(request: Request, response: Response, body: Name) -> Json:
        """Get the token of a team on this machine; there is none on a judge that others can reach."""
        check_secret(request, judge.settings)
        no_store(response)
        team, token, made = store.local_team(judge.db, body.name)
        response.status_code = 201 if made else 200
        sets = judge.sets
        images = describe_images(sets.source, len(sets.validation))
        images += "" if sets.source == DATASET else ", as no data set is installed (fewer: MIPSEG_JUDGE_SET_SIZE)"
        message = f"local judge, scoring on {images}"
        return {"team_uuid": team.id, "team": team.name, "token": token, "message": message, "images": sets.source}


@dataclass(frozen=True)
class _Sample:
    """What a connection test sends: the image's size, the image in base64, and the body around it."""

    shape: tuple[int, ...]
    img: str
    request: bytes


@cache
def _sample() -> _Sample:
    phantom = make_phantom(SAMPLE_PHANTOM)
    img = encode_request(np.repeat(phantom.mip[:, :, None], 3, axis=2))
    return _Sample(phantom.mip.shape, img, b'{"img":"' + img.encode() + b'"}')


def _verified(sample: _Sample, reply: Reply) -> dict[str, Any]:
    """The answer of the connection test. What a stranger replies is not passed on, but for a sound mask."""
    can_connect = reply.status is not None
    judged = judge_reply(sample.shape, reply.content) if reply.reason is None else None
    good = judged is not None and judged.mask is not None
    if judged is not None and good:
        message = "Successfully connected and received prediction."
    elif judged is not None:
        message = f"Connected, but the prediction can't be used: {judged.detail}"
    elif reply.reason == UNREACHABLE:
        message = "Nobody answers at the URL."
    else:
        message = f"No usable answer: {reply.detail or PROBLEMS[str(reply.reason)].title}"
    return {
        "can_connect": can_connect,
        "can_predict": good,
        "sample": sample.img,
        "response": {"img": judged.img} if judged is not None and good else None,
        "response_status_code": reply.status,
        "detail": {"message": message},
    }
