"""Bodies of requests: JSON whatever their Content-Type says, since `curl -d` calls it a form."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from mipseg.http.json_body import REQUEST_PARTS, JsonError, read_json
from mipseg.serving.problems import ProblemError

MAX_BYTES = 64 * 1024  # a URL or a name
Body = TypeVar("Body", bound=BaseModel)


def body_of(kind: type[Body]) -> Callable[[Request], Awaitable[Body]]:
    """A dependency that reads a body.

    Args:
        kind: its fields; where all have defaults, an empty body will do.
    """

    async def read(request: Request) -> Body:
        content = await request.body()
        if len(content) > MAX_BYTES:
            raise ProblemError("body-too-large", f"the body may have at most {MAX_BYTES} bytes")
        required = [name for name, field in kind.model_fields.items() if field.is_required()]
        if not content and not required:
            return kind()
        try:
            return kind.model_validate(read_json(content, REQUEST_PARTS))
        except ValidationError:
            wanted = ", ".join(kind.model_fields)
            raise ProblemError("invalid-request", f"the body must be a JSON object with: {wanted}") from None
        except JsonError as error:
            raise ProblemError("invalid-json", f"the body: {error}") from None

    return read


def schema_of(kind: type[BaseModel]) -> dict[str, Any]:
    """The body for the API's description, which does not see it otherwise."""
    required = any(field.is_required() for field in kind.model_fields.values())
    content = {"application/json": {"schema": kind.model_json_schema()}}
    return {"requestBody": {"required": required, "content": content}}
