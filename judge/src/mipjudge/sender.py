"""One image to an endpoint that nobody here knows, and its reply, within limits that the endpoint can't stretch."""

import asyncio
import ssl
import time
from dataclasses import dataclass
from functools import cache
from types import TracebackType

import httpx
import structlog

from mipjudge.errors import TargetError
from mipjudge.settings import JudgeSettings
from mipjudge.target import AddressPolicy, Endpoint, parse_endpoint

UNREACHABLE, TIMEOUT = "unreachable", "timeout"
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "Content-Type": "application/json"}
_log = structlog.get_logger()


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
        seconds: from the name's resolution to the last byte.
        reason: code of the fault; None for a reply with status 2xx.
        status: HTTP status, if there was one.
        content: the body of a reply without a fault.
    """

    seconds: float
    reason: str | None = None
    status: int | None = None
    content: bytes = b""


@cache
def _tls() -> ssl.SSLContext:
    # Once: reading the system's certificates takes longer than judging an image.
    return httpx.create_ssl_context(trust_env=False)


class _BadReplyError(Exception):
    """The reply is not one that is read on."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Sender:
    """Sends images; an asynchronous context manager.

    One deadline covers everything, because a reply that drips beats the timeouts of single reads. Redirects and proxies
    of the environment are not followed, compressed replies are not unpacked, and every image has a connection of its
    own: an old one that the endpoint closes just then would cost an image.

    Args:
        policy: which addresses may be called.
        settings: the deadline and the largest reply.
    """

    def __init__(self, policy: AddressPolicy, settings: JudgeSettings) -> None:
        self._policy, self._settings = policy, settings

    async def __aenter__(self) -> "Sender":
        """Open the client."""
        self._client = httpx.AsyncClient(
            verify=_tls(),
            timeout=None,  # noqa: S113  # see the class
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client."""
        await self._client.aclose()

    async def send(self, url: str, body: bytes) -> Reply:
        """POST a body of JSON.

        Args:
            url: the endpoint.
            body: what to send.

        Returns:
            The reply or the reason why there is none; nothing that an endpoint does raises.
        """
        started, status, content, reason = time.perf_counter(), None, b"", None
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                endpoint = parse_endpoint(url)
                addresses = await asyncio.to_thread(self._policy.addresses, endpoint)
                response = await self._connect(endpoint, addresses, body)
                status = response.status_code
                try:
                    content = await self._read(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            reason = TIMEOUT
        except TargetError as error:
            reason = error.code
        except _BadReplyError as error:
            reason = error.reason
        except httpx.ConnectError:
            reason = UNREACHABLE
        except httpx.HTTPError:
            reason = "cut-off"
        except Exception as error:  # whatever a hostile reply makes a library raise
            _log.warning("reply_unreadable", error=type(error).__name__)
            reason = "protocol"
        return Reply(time.perf_counter() - started, reason, status, b"" if reason else content)

    async def _connect(self, endpoint: Endpoint, addresses: list[str], body: bytes) -> httpx.Response:
        """Send to the first address that takes the connection."""
        headers = {**_HEADERS, "Host": endpoint.host_header}
        for address in addresses:
            request = self._client.build_request(
                "POST",
                endpoint.at(address),
                content=body,
                headers=headers,
                extensions={"sni_hostname": endpoint.host},  # the certificate is the name's, not the address'
            )
            self._client.cookies.clear()
            try:
                return await self._client.send(request, stream=True)
            except httpx.ConnectError:
                if address == addresses[-1]:
                    raise
        raise httpx.ConnectError("no address")

    async def _read(self, response: httpx.Response) -> bytes:
        if response.is_redirect or 300 <= response.status_code < 400:
            raise _BadReplyError("redirect")
        if not response.is_success:
            raise _BadReplyError("http-status")
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise _BadReplyError("reply-encoded")
        content = bytearray()
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > self._settings.max_reply_bytes:
                raise _BadReplyError("reply-too-large")
        return bytes(content)
