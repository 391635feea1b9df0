"""One shape for every error: RFC 9457 `application/problem+json`, at most 1 KiB, never echoing what was sent."""

import re
from collections.abc import Iterable, Mapping

import structlog
from asgi_correlation_id import CorrelationIdMiddleware, correlation_id
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from mipseg import errors
from mipseg.http.problem_codes import code_of, status_of, title_of

REQUEST_ID = re.compile(r"[0-9A-Fa-f-]{32,36}")  # what a client may choose; all else is replaced
FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")  # looks like a program's, and not like what a person wrote
_log = structlog.get_logger()


class ProblemError(Exception):
    """An error that already knows its answer.

    Attributes:
        code: short stable name for programs, one of `mipseg.http.problem_codes`.
        status: HTTP status, which the code decides.
        detail: sentence for people; must not repeat input.
        headers: further headers of the answer.
    """

    def __init__(self, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.code, self.status, self.detail, self.headers = code, status_of(code), detail, headers or {}


def problem_response(problem: ProblemError, request_id: str | None = None) -> Response:
    """Turn a problem into its answer; the request's ID is the current one unless another is given."""
    return _response(problem.status, problem.code, problem.detail, problem.headers, request_id)


def _response(
    status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, request_id: str | None = None
) -> Response:
    content = {
        "type": "about:blank",
        "title": title_of(code, status),
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": request_id or correlation_id.get(),
    }
    return JSONResponse(content, status, headers, "application/problem+json")


def repeatable(names: Iterable[str]) -> list[str]:
    """Those unknown names of fields that an error may repeat: the first five, in order, that look like a program's."""
    return sorted(name for name in names if FIELD_NAME.fullmatch(name))[:5]


def as_problem(error: Exception) -> ProblemError:
    """The answer to an error; one that is not meant for the caller is ours, and its text stays in the log."""
    if isinstance(error, errors.InputError):
        return ProblemError(error.code, str(error)[:500])
    if isinstance(error, errors.SegmentationError):
        return ProblemError("invalid-prediction", str(error)[:500])
    if isinstance(error, errors.ModelError):
        return ProblemError("model-unavailable", "the model can't be loaded; see the log", {"Retry-After": "5"})
    return ProblemError("service-error", "an error that nobody foresaw; see the log")


def add_request_ids(app: FastAPI) -> None:
    """Give every request an ID, in its log lines and in `X-Request-ID`; has to be the last middleware that is added."""
    app.add_middleware(
        CorrelationIdMiddleware,
        header_name="X-Request-ID",
        validator=lambda text: REQUEST_ID.fullmatch(text) is not None,
    )


def install(app: FastAPI) -> None:
    """Make an app answer every error in the one shape."""

    @app.exception_handler(ProblemError)
    async def on_problem(_: Request, error: ProblemError) -> Response:
        return problem_response(error)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_: Request, error: RequestValidationError) -> Response:
        # FastAPI's own answer repeats the whole input.
        places = sorted({".".join(str(part) for part in e["loc"])[:40] for e in error.errors()})
        return problem_response(ProblemError("invalid-request", f"check: {', '.join(places)[:400]}"))

    @app.exception_handler(HTTPException)
    async def on_http(_: Request, error: HTTPException) -> Response:
        code = code_of(error.status_code)  # Starlette's own errors have a status and nothing else
        return _response(error.status_code, code, title_of(code, error.status_code), error.headers)

    @app.exception_handler(errors.MipsegError)
    async def on_known(_: Request, error: errors.MipsegError) -> Response:
        if not isinstance(error, errors.InputError):
            _log.error("request_failed", exc_info=error)
        return problem_response(as_problem(error))

    @app.exception_handler(Exception)
    async def on_error(_: Request, error: Exception) -> Response:
        # Starlette calls this outside of every middleware, which would add the ID, and lets uvicorn log the error.
        response = problem_response(as_problem(error))
        response.headers["X-Request-ID"] = correlation_id.get() or ""
        response.headers["Connection"] = "close"  # uvicorn will, after an error
        return response
