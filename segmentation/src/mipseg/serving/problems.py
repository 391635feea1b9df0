"""One shape for every error: RFC 9457 `application/problem+json`, at most 1 KiB, never echoing what was sent."""

import structlog
from asgi_correlation_id import correlation_id
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from mipseg import errors

_log = structlog.get_logger()

# What an error class means to a caller: status, code. The first class that fits counts.
TABLE: tuple[tuple[type[Exception], int, str], ...] = (
    (errors.Base64Error, 422, "invalid-base64"),
    (errors.ImageTooLargeError, 422, "image-too-large"),
    (errors.ImageError, 422, "invalid-image"),
    (errors.ModelError, 503, "model-unavailable"),
    (errors.SegmentationError, 500, "invalid-prediction"),
)
TITLES = {
    400: "Bad request",
    401: "Not authorised",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "The body came too slowly",
    409: "Conflict",
    413: "The body is too large",
    415: "Unsupported media type",
    422: "The request can't be processed",
    429: "Too many requests",
    431: "The headers are too large",
    500: "The prediction failed",
    503: "Try again later",
}


class ProblemError(Exception):
    """An error that already knows its answer.

    Attributes:
        status: HTTP status.
        code: short stable name for programs.
        detail: sentence for people; must not repeat input.
        headers: further headers of the answer.
    """

    def __init__(self, status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.headers = status, code, detail, headers or {}


def problem_response(problem: ProblemError, request_id: str | None = None) -> Response:
    """Turn a problem into its answer; the request's ID is the current one unless another is given."""
    content = {
        "type": "about:blank",
        "title": TITLES.get(problem.status, "Error"),
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "request_id": request_id or correlation_id.get(),
    }
    return JSONResponse(content, problem.status, problem.headers, "application/problem+json")


def as_problem(error: Exception) -> ProblemError:
    """Look an error up in the table; one that is not there is ours, and its text stays in the log."""
    for kind, status, code in TABLE:
        if isinstance(error, kind):
            detail = "the model can't be loaded; see the log" if status == 503 else str(error)
            return ProblemError(status, code, detail[:500], {"Retry-After": "5"} if status == 503 else None)
    return ProblemError(500, "prediction-failed", "the prediction function raised an error; see the log")


def install(app: FastAPI) -> None:
    """Make an app answer every error in the one shape."""

    @app.exception_handler(ProblemError)
    async def on_problem(_: Request, error: ProblemError) -> Response:
        return problem_response(error)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_: Request, error: RequestValidationError) -> Response:
        # FastAPI's own answer repeats the whole input.
        places = sorted({".".join(str(part) for part in e["loc"])[:40] for e in error.errors()})
        return problem_response(ProblemError(422, "invalid-request", f"check: {', '.join(places)[:400]}"))

    @app.exception_handler(HTTPException)
    async def on_http(_: Request, error: HTTPException) -> Response:
        status = error.status_code
        code = TITLES.get(status, "error").lower().replace(" ", "-").replace("'", "")
        headers = dict(error.headers or {})
        return problem_response(ProblemError(status, code, TITLES.get(status, "Error"), headers))

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
