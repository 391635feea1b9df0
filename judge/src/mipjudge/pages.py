"""What people look at: the scoreboard, and the page of a team's own attempt."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse, JSONResponse

from mipjudge import store
from mipjudge.answers import attempt_answer, published
from mipjudge.models import DONE, VALIDATION, Result
from mipjudge.protocol import own_attempt
from mipjudge.scoreboard import MAX_TEAMS, kept, make_scoreboard
from mipjudge.service import Json, Judge, JudgeRoute, Token, no_store
from mipjudge.tables import csv_response
from mipseg.io.mask_png import decode_binary, encode_png
from mipseg.serving.problems import ProblemError

STATIC = Path(__file__).with_name("static")
_TYPES = {
    "judge.css": "text/css",
    "scoreboard.js": "text/javascript",
    "attempt.js": "text/javascript",
    "token.js": "text/javascript",
}
_SAFE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def make_pages(judge: Judge) -> APIRouter:
    """Pages, and the JSON and CSV that they show."""
    router = APIRouter(tags=["judge"], route_class=JudgeRoute)
    _add_scoreboard(router, judge)
    _add_attempts(router, judge)
    for path, name in (("/scoreboard", "scoreboard.html"), ("/attempts/{uuid}", "attempt.html")):
        router.add_api_route(path, _page(name), include_in_schema=False, name=name)

    @router.get("/judge-static/{name}", include_in_schema=False)
    def static(name: str) -> Response:
        if name not in _TYPES:
            raise ProblemError("not-found", "there is no such file")
        return Response(_text(name), media_type=_TYPES[name], headers=_SAFE)

    return router


def _add_scoreboard(router: APIRouter, judge: Judge) -> None:
    board = kept(lambda: make_scoreboard(judge.db, judge.sets))

    @router.get("/api/v1/scoreboard")
    def scoreboard(limit: Annotated[int, Query(ge=1, le=MAX_TEAMS)] = MAX_TEAMS) -> Response:
        """Ranks, scores and points of all teams, at most two seconds old."""
        present = board()
        first, *rest = (one | {"teams": one["teams"][:limit]} for one in (present, *present["earlier"]))
        return JSONResponse(first | {"earlier": rest})

    @router.get("/api/v1/scoreboard.csv")
    def scoreboard_csv() -> Response:
        """The same as a table, with a row for each team and collection of images."""
        present = board()
        names = ("rank", "team", "best_validation_score", "evaluation_score", "points", "attempts", "last_change")
        boards = [present, *present["earlier"]]
        rows = [[one["set"], *(team[name] for name in names)] for one in boards for team in one["teams"]]
        return csv_response("scoreboard.csv", ["set", *names], rows)


def _add_attempts(router: APIRouter, judge: Judge) -> None:
    @router.get("/api/v1/attempts/{uuid}")
    def attempt(uuid: str, response: Response, x_token: Token = None) -> Json:
        """A team's own attempt; of a validation also each image."""
        no_store(response)
        found = own_attempt(judge, judge.team(x_token), uuid)
        results = store.results_of(judge.db, found)
        answer = attempt_answer(judge.db, found, results)
        answer["deadline_s"] = judge.settings.deadline_s
        if found.kind == VALIDATION:
            answer["images"] = [_image(result) for result in results]
            answer["worst"] = list(judge.shown_masks(found))
        return answer

    @router.get("/api/v1/attempts/{uuid}/images.csv")
    def images_csv(uuid: str, x_token: Token = None) -> Response:
        """The images of a validation as a table."""
        found = own_attempt(judge, judge.team(x_token), uuid)
        if found.kind != VALIDATION:
            raise ProblemError("no-figure", "only a validation tells about its images")
        results = store.results_of(judge.db, found)
        rows = [(r.position + 1, published(r.score), round(r.seconds, 3), r.reason, r.detail) for r in results]
        return csv_response(f"attempt-{found.id}.csv", ("image", "score", "seconds", "reason", "detail"), rows)

    @router.get("/api/v1/attempts/{uuid}/report.html", response_class=HTMLResponse)
    def report(uuid: str, x_token: Token = None) -> Response:
        """A page to keep of a finished validation: the score with its interval, times, the worst images, all images."""
        found = own_attempt(judge, judge.team(x_token), uuid)
        if found.kind != VALIDATION or found.status != DONE:
            raise ProblemError("no-figure", "only a finished validation has a report")
        from mipjudge.report import attempt_report  # noqa: PLC0415  # imports scipy's statistics, which take a second

        page = attempt_report(judge, found, store.results_of(judge.db, found))
        name = f'attachment; filename="attempt-{found.id}.html"'
        return HTMLResponse(page, headers={**_SAFE, "Content-Disposition": name, "Cache-Control": "private"})

    @router.get("/api/v1/attempts/{uuid}/figures/{position}")
    def figure(uuid: str, position: str, x_token: Token = None) -> Response:
        """One of the worst images of a finished validation on a local judge: where mask and reference agree."""
        found = own_attempt(judge, judge.team(x_token), uuid)
        masks = {str(place): (place, mask) for place, mask in judge.shown_masks(found).items()}
        if position not in masks:
            raise ProblemError("no-figure", "there is no figure of this image")
        content = _draw(judge, *masks[position])
        return Response(content, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


def _image(result: Result) -> dict[str, int | float | str | None]:
    return {
        "position": result.position,
        "score": published(result.score),
        "reason": result.reason,
        "detail": result.detail,
        "seconds": round(result.seconds, 3),
    }


def _page(name: str) -> Callable[[], Response]:
    def page() -> Response:
        return Response(_text(name), media_type="text/html", headers=_SAFE)

    return page


@cache
def _text(name: str) -> str:
    return (STATIC / name).read_text("utf-8")


def _draw(judge: Judge, position: int, mask: bytes) -> bytes:
    from mipseg.report.figure import agreement_image  # noqa: PLC0415  # imports matplotlib, which serving does without

    case = judge.sets.validation.case(position)
    return encode_png(agreement_image(case.image, case.mask, decode_binary(mask)))
