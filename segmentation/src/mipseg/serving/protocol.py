"""uvicorn's HTTP protocol with what it lacks: limits before the application, upgrades ignored, a gentle end."""

import asyncio
from http import HTTPStatus
from uuid import uuid4

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mipseg.serving.problems import ProblemError, problem_response

HEADER_DEADLINE_S = 10.0
MAX_HEADER_BYTES = 64 * 1024
MAX_PIPELINED = 32  # requests that one connection may send ahead of their answers
LINGER_S = 1.0  # at the end of the service, in which an open connection may still send a request
_UPGRADE = (b"upgrade", b"http2-settings")


class _FloodError(Exception):
    """A connection sends far more requests than it reads answers."""


class DeadlineProtocol(HttpToolsProtocol):
    """One connection: a deadline and a size for a request's headers, and a limit of requests sent ahead.

    uvicorn itself would wait without end, and collect headers of any size and requests of any number. What is not HTTP
    gets the one shape of errors. An `Upgrade` is ignored, as RFC 9110 allows: Java's client asks for `h2c` each time.
    """

    _headers_due: asyncio.TimerHandle | None = None
    _idle_bytes = 0  # received in a row that neither ended the headers nor belonged to a body
    _ending = False  # the service stops; the next answer is this connection's last

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected: its first headers are due."""
        super().connection_made(transport)
        self._expect_headers()

    def data_received(self, data: bytes) -> None:
        """Bytes came; while no request is being answered, they begin the next one."""
        if self._headers_due is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_headers()
        cycle, before = self.cycle, len(self.cycle.body) if self.cycle else 0
        self._unset_keepalive_if_required()
        self._parse(data)
        progress = self.cycle is not cycle or (cycle is not None and len(cycle.body) > before)
        self._idle_bytes = 0 if progress else self._idle_bytes + len(data)
        if self._idle_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
            self._refuse(ProblemError("headers-too-large", "the headers are too large"))

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            (end,) = upgrade.args
            self._begin_without_upgrade(data[end:])
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, _FloodError):
                self.pipeline.clear()
                self.transport.abort()
            else:
                self.send_400_response("")

    def _begin_without_upgrade(self, rest: bytes) -> None:
        """Parse a request again without its wish for another protocol; the parser would leave its body unread."""
        if self.parser.get_method() == b"CONNECT":
            self.send_400_response("")
            return
        head = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                tokens = (token.strip() for token in value.split(b","))
                value = b", ".join(token for token in tokens if token.lower() not in _UPGRADE)  # noqa: PLW2901
            if name not in _UPGRADE:
                head.append(name + b": " + value)
        self.parser = httptools.HttpRequestParser(self)
        self._parse(b"\r\n".join(head) + b"\r\n\r\n" + rest)

    def on_headers_complete(self) -> None:
        """The headers are here; the body has a deadline of its own."""
        self._cancel()
        if self.parser.should_upgrade():
            return
        if len(self.pipeline) >= MAX_PIPELINED:
            raise _FloodError
        super().on_headers_complete()
        if self._ending:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """The request is here, unless it begins again without its upgrade."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The service stops. A client may be sending at this moment, so an idle connection is left open for a while."""
        self._ending = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LINGER_S, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def _close_if_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP; uvicorn would do it in plain text."""
        self._refuse(ProblemError("invalid-http", "the request is not valid HTTP/1.1"))

    def _refuse(self, problem: ProblemError) -> None:
        request_id = uuid4().hex
        response = problem_response(problem, request_id)
        headers = [*response.raw_headers, (b"x-request-id", request_id.encode()), (b"connection", b"close")]
        lines = [b"HTTP/1.1 %d %s" % (problem.status, HTTPStatus(problem.status).phrase.encode())]
        lines += [name + b": " + value for name, value in headers]
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + bytes(response.body))
        self.transport.close()

    def _expect_headers(self) -> None:
        self._headers_due = self.loop.call_later(HEADER_DEADLINE_S, self.transport.close)

    def _cancel(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None
