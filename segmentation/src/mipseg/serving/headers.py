"""Headers of every answer, and HEAD for everything that can be read."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# For what is no page: nothing is loaded, nothing is run, nobody frames it. Pages have a policy of their own.
POLICY = "default-src 'none'; frame-ancestors 'none'"


class SafeHeaders:
    """ASGI middleware: browsers take an answer for what it says it is, and for nothing that can run or be framed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the class."""

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Content-Security-Policy", POLICY)
            await send(message)

        await self._app(scope, receive, add if scope["type"] == "http" else send)


class HeadAsGet:
    """ASGI middleware that answers HEAD with what GET would say, without its body, on every route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the class."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        as_get = {**scope, "method": "GET"}
        try:
            await self._app(as_get, receive, without_body)
        finally:
            if "route" in as_get:  # for the log and the metrics
                scope["route"] = as_get["route"]
