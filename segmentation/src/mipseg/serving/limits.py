"""What is refused before it is parsed: large, slow and packed bodies, and more of them than fit into memory."""

import asyncio
import math
from collections.abc import Collection
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mipseg.serving.problems import ProblemError, problem_response
from mipseg.settings import Settings


@dataclass(eq=False)
class _Body:
    """A body of `size` bytes so far; `deadline` ends its reading, and `evicted` says that another needed its room."""

    deadline: asyncio.Timeout
    content: bytearray = field(default_factory=bytearray)
    size: int = 0
    evicted: bool = False


class BodyLimits:
    """ASGI middleware that reads the whole body within the limits and hands it on as one message.

    Starlette has no limit of its own and would collect a body of any size. Bodies take room by what has come of them,
    not by what they announce, so that slow ones leave room for fast ones. There is room for as many of the largest
    size as the queue takes, and one more; when it is full, the body that has been arriving for longest makes way.

    Args:
        app: the application behind it.
        settings: `max_body_bytes`, `body_deadline_s` and `queue_size`.
        left_out: paths whose routes read the bodies of POST themselves, with limits of their own.
    """

    def __init__(self, app: ASGIApp, settings: Settings, left_out: Collection[str] = ()) -> None:
        self._app, self._settings, self._left_out = app, settings, left_out
        self._room = (settings.queue_size + 2) * settings.max_body_bytes
        self._held = 0  # bytes of all bodies, arriving or complete
        self._arriving: dict[_Body, None] = {}  # in the order of their beginning

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the class."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        has_body = "content-length" in headers or "transfer-encoding" in headers
        if not has_body or self._is_left_out(scope):
            await self._app(scope, receive, send)
            return
        body = _Body(asyncio.timeout(self._settings.body_deadline_s))
        try:
            check_headers(headers, self._settings.max_body_bytes)
            if await self._read(body, receive):
                content = bytes(body.content)
                body.content.clear()
                await self._app(scope, _replay(content, receive), send)
        except ProblemError as problem:
            # The rest of a refused body is not read, so the connection can't be used again.
            problem.headers["Connection"] = "close"
            await problem_response(problem)(scope, receive, send)
        finally:
            self._held -= body.size

    def _is_left_out(self, scope: Scope) -> bool:
        return scope["method"] == "POST" and scope["path"].removeprefix(scope.get("root_path", "")) in self._left_out

    async def _read(self, body: _Body, receive: Receive) -> bool:
        """Fill a body; False if its client has gone."""
        self._arriving[body] = None
        try:
            async with body.deadline:
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return False
                    self._take(body, message.get("body", b""))
                    more = message.get("more_body", False)
        except TimeoutError:
            if body.evicted:
                raise ProblemError("busy", "too many requests at once", {"Retry-After": "1"}) from None
            limit = f"{self._settings.body_deadline_s:g} s"
            raise ProblemError("body-too-slow", f"the body must arrive within {limit}") from None
        finally:
            del self._arriving[body]
        return True

    def _take(self, body: _Body, part: bytes) -> None:
        body.content += part
        body.size += len(part)
        self._held += len(part)
        if body.size > self._settings.max_body_bytes:
            raise too_large(self._settings.max_body_bytes)
        slowest = next((other for other in self._arriving if not other.evicted), None)
        if self._held > self._room and slowest is not None:
            slowest.evicted = True
            self._held -= slowest.size  # counted as free at once, so that one is enough
            slowest.size = 0
            slowest.deadline.reschedule(asyncio.get_running_loop().time())


def check_headers(headers: Headers, max_bytes: int) -> None:
    """Refuse a body by what its headers say.

    Raises:
        ProblemError: it is compressed, or has more bytes than the limit.
    """
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise ProblemError("content-encoding", "send the body without Content-Encoding")
    if declared_size(headers) > max_bytes:
        raise too_large(max_bytes)


def declared_size(headers: Headers) -> float:
    """The bytes that a body announces, 0 where it does not; infinite for what is not a number."""
    declared = headers.get("content-length", "0")
    return int(declared.lstrip("0")[:20] or "0") if declared.isdecimal() else math.inf


def too_large(max_bytes: int) -> ProblemError:
    """The error that names the limit of a body."""
    return ProblemError("body-too-large", f"the body may have at most {max_bytes} bytes")


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
