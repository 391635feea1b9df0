"""The schema behind `/docs`: titles and examples for people, and the errors that every route may answer with."""

import json
import re
from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field
from starlette.routing import BaseRoute

EXAMPLES = Path(__file__).with_name("static") / "examples.json"
TASK = "tumour segmentation"
TASK_ERRORS = (400, 408, 413, 415, 422, 500, 503)
UPLOAD_ERRORS = (429, 507)
JOB_ERRORS = (404, 503)
RESULT_ERRORS = (404, 409, 503)
MASK_ERRORS = (404, 408, 409, 413, 415, 422, 429, 503, 507)
JUDGE_ERRORS = (404, 422, 429, 503)
JUDGE_BODY_ERRORS = (400, 408, 409, 413, 415)
TOKEN_ERRORS = (401, 403)
Json = dict[str, Any]


class Problem(BaseModel):
    """Every error, after RFC 9457; it never repeats what was sent."""

    type: str = "about:blank"
    title: str = Field(description="what the status means")
    status: int = Field(description="HTTP status")
    code: str = Field(description="short stable name, for programs")
    detail: str = Field(description="what is wrong and what would work, for people")
    request_id: str | None = Field(description="as in the header X-Request-ID, and in the log")


def describe_api(app: FastAPI, more: Sequence[BaseRoute] = ()) -> Json:
    """Make the schema of an application.

    Args:
        app: the application.
        more: routes that it hands on to another; part of the schema while they are there.
    """
    if app.openapi_schema is None or app.state.described_more != len(more):
        routes = [*app.routes, *more]
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description, servers=app.servers, routes=routes
        )
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        for unused in ("HTTPValidationError", "ValidationError"):  # FastAPI's own errors, which are never answered
            schemas.pop(unused, None)
        schemas["Problem"] = Problem.model_json_schema()
        for path, methods in schema["paths"].items():
            for operation in methods.values():
                _describe(operation, _examples().get(path))
            if path == "/readyz":
                methods["get"]["responses"]["503"] = _problem(503)
        app.openapi_schema, app.state.described_more = schema, len(more)
    return app.openapi_schema


def _describe(operation: Json, example: Json | None) -> None:
    text = operation.get("description", "")
    operation["summary"] = re.split(r"[.:;](?:\s|$)", text, maxsplit=1)[0]
    if text.rstrip(".") == operation["summary"]:
        del operation["description"]
    responses = operation["responses"]
    responses.pop("422", None)
    responses |= {str(status): _problem(status) for status in _errors(operation)}
    if example:
        operation["requestBody"]["content"]["application/json"]["example"] = example["request"]
        responses["200"]["content"]["application/json"]["example"] = example["response"]


def _errors(operation: Json) -> list[int]:
    """The statuses that a route may answer with beside its good ones."""
    tags = operation.get("tags", ())
    if TASK in tags:
        is_upload = "multipart/form-data" in operation["requestBody"]["content"]
        return sorted([*TASK_ERRORS, *UPLOAD_ERRORS * is_upload])
    if "jobs" in tags:
        if "requestBody" in operation:
            return [*MASK_ERRORS]
        has_name = any(parameter["name"] == "name" for parameter in operation["parameters"])
        return [*(RESULT_ERRORS if has_name else JOB_ERRORS)]
    if "judge" not in tags:
        return []
    asks_for_token = any(parameter["name"] == "x-token" for parameter in operation.get("parameters", ()))
    has_body = "requestBody" in operation
    return sorted([*JUDGE_ERRORS, *TOKEN_ERRORS * asks_for_token, *JUDGE_BODY_ERRORS * has_body])


def _problem(status: int) -> Json:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": HTTPStatus(status).phrase, "content": {"application/problem+json": {"schema": schema}}}


@cache
def _examples() -> dict[str, Json]:
    """A phantom, and what the service answered: path -> request and response."""
    found: dict[str, Json] = json.loads(EXAMPLES.read_text("utf-8"))
    return found
