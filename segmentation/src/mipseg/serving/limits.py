"""What is refused before it is parsed: large, slow and packed bodies, and more of them than fit into memory."""

import math
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mipseg.serving.problems import ProblemError, problem_response
from mipseg.serving.room import Body, Room, too_large
from mipseg.settings import Settings


class BodyLimits:
    """ASGI middleware that reads the whole body within the limits and hands it on as one message.

    Starlette has no limit of its own and would collect a body of any size. There is room for as many of the largest
    size as the queue takes, and one more.

    Args:
        app: the application behind it.
        settings: `max_body_bytes`, `body_deadline_s` and `queue_size`.
        left_out: paths whose routes read the bodies of POST themselves, with limits of their own.
    """

    def __init__(self, app: ASGIApp, settings: Settings, left_out: Collection[str] = ()) -> None:
        self._app, self._settings, self._left_out = app, settings, left_out
        size = (settings.queue_size + 2) * settings.max_body_bytes
        self._room = Room(size, settings.max_body_bytes, settings.body_deadline_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the class."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        has_body = "content-length" in headers or "transfer-encoding" in headers
        if not has_body or self._is_left_out(scope):
            await self._app(scope, receive, send)
            return
        try:
            check_headers(headers, self._settings.max_body_bytes)
            async with self._room.body() as body:
                content = await self._read(body, receive)
                if content is not None:
                    await self._app(scope, _replay(content, receive), send)
        except ProblemError as problem:
            # The rest of a refused body is not read, so the connection can't be used again.
            problem.headers["Connection"] = "close"
            await problem_response(problem)(scope, receive, send)

    def _is_left_out(self, scope: Scope) -> bool:
        return scope["method"] == "POST" and scope["path"].removeprefix(scope.get("root_path", "")) in self._left_out

    async def _read(self, body: Body, receive: Receive) -> bytes | None:
        """The whole of a body; None if its client has gone."""
        content, more = bytearray(), True
        async with self._room.arrival(body):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                content += message.get("body", b"")
                self._room.take(body, len(message.get("body", b"")))
                more = message.get("more_body", False)
        return bytes(content)


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


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
