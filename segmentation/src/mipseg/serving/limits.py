"""What is refused before it is parsed: large, slow and packed bodies, and more clients than fit into memory."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mipseg.serving.problems import ProblemError, problem_response
from mipseg.settings import Settings

MAX_BODIES = 32  # bodies in memory at once: 32 x 6 MiB is a fifth of a GiB


class BodyLimits:
    """ASGI middleware that reads the whole body within the limits and hands it on as one message.

    Starlette has no limit of its own and would collect a body of any size.

    Args:
        app: the application behind it.
        settings: `max_body_bytes` and `body_deadline_s`.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings, self._bodies = app, settings, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the class."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        if "content-length" not in headers and "transfer-encoding" not in headers:
            await self._app(scope, receive, send)
            return
        self._bodies += 1
        try:
            body = await self._read(headers, receive)
            if body is not None:
                await self._app(scope, _replay(body, receive), send)
        except ProblemError as problem:
            # The rest of a refused body is not read, so the connection can't be used again.
            problem.headers["Connection"] = "close"
            await problem_response(problem)(scope, receive, send)
        finally:
            self._bodies -= 1

    async def _read(self, headers: Headers, receive: Receive) -> bytes | None:
        largest = self._settings.max_body_bytes
        too_large = ProblemError("body-too-large", f"the body may have at most {largest} bytes")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise ProblemError("content-encoding", "send the body without Content-Encoding")
        declared = headers.get("content-length", "0")
        if not declared.isdecimal() or int(declared.lstrip("0")[:20] or "0") > largest:
            raise too_large
        if self._bodies > MAX_BODIES:
            raise ProblemError("busy", "too many requests at once", {"Retry-After": "1"})
        body = bytearray()
        try:
            async with asyncio.timeout(self._settings.body_deadline_s):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > largest:
                        raise too_large
        except TimeoutError:
            limit = f"{self._settings.body_deadline_s:g} s"
            raise ProblemError("body-too-slow", f"the body must arrive within {limit}") from None
        return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
