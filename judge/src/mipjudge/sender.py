"""One image to an endpoint that nobody here knows, and its reply, within limits that the endpoint can't stretch."""

import asyncio
import json
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from types import TracebackType
from urllib.parse import urljoin

import httpx
import structlog

from mipjudge.about import read_about
from mipjudge.errors import TargetError
from mipjudge.settings import JudgeSettings
from mipjudge.target import AddressPolicy, Endpoint, parse_endpoint
from mipseg.http.addresses import is_loopback
from mipseg.http.json_body import describe_status

UNREACHABLE, TIMEOUT = "unreachable", "timeout"
ABOUT_S, MAX_ABOUT_BYTES = 2.0, 4096  # what an endpoint says of itself or its errors is worth no more
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
        detail: more about the fault, for people.
    """

    seconds: float
    reason: str | None = None
    status: int | None = None
    content: bytes = b""
    detail: str | None = None


@cache
def _tls() -> ssl.SSLContext:
    # Once: reading the system's certificates takes longer than judging an image.
    return httpx.create_ssl_context(trust_env=False)


class _BadReplyError(Exception):
    """The reply is not one that is read on."""

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


class Sender:
    """Sends images; an asynchronous context manager.

    One deadline covers everything, because a reply that drips beats the timeouts of single reads. Proxies of the
    environment are not used, compressed replies are not unpacked, and every image has a connection of its own: an old
    one that the endpoint closes just then would cost an image. No redirect is followed but one: frameworks answer
    `/predict/` with a redirect to `/predict`, and the other way round, which leads to the same address and port.

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
        started, status, content = time.perf_counter(), None, b""
        reason, detail = None, None
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                response = await self._post(url, body)
                status = response.status_code
                try:
                    content = await self._read(response, self._settings.max_reply_bytes)
                finally:
                    await response.aclose()
        except TimeoutError:
            reason = TIMEOUT
        except TargetError as error:
            reason = error.code
        except _BadReplyError as error:
            reason, detail = error.reason, error.detail
        except httpx.ConnectError:
            reason = UNREACHABLE
        except httpx.HTTPError:
            reason = "cut-off"
        except Exception as error:  # whatever a hostile reply makes a library raise
            _log.warning("reply_unreadable", error=type(error).__name__)
            reason = "protocol"
        return Reply(time.perf_counter() - started, reason, status, b"" if reason else content, detail)

    async def about(self, url: str) -> str | None:
        """What the endpoint says of itself at `/api`, as JSON; None for nothing. See `mipjudge.about`.

        Args:
            url: the endpoint's; nothing that it does raises.
        """
        try:
            async with asyncio.timeout(min(ABOUT_S, self._settings.deadline_s)):
                endpoint = replace(parse_endpoint(url), path="/api")
                response = await self._connect(endpoint, await self._resolve(endpoint))
                try:
                    found = read_about(await self._read(response, MAX_ABOUT_BYTES))
                finally:
                    await response.aclose()
        except Exception:
            return None
        return json.dumps(found) if found else None

    async def _resolve(self, endpoint: Endpoint) -> list[str]:
        return await asyncio.to_thread(self._policy.addresses, endpoint)

    async def _post(self, url: str, body: bytes) -> httpx.Response:
        endpoint = parse_endpoint(url)
        addresses = await self._resolve(endpoint)
        response = await self._connect(endpoint, addresses, body)
        other = _with_other_slash(endpoint, response)
        if other is None:
            return response
        await response.aclose()
        return await self._connect(other, addresses, body)

    async def _connect(self, endpoint: Endpoint, addresses: list[str], body: bytes | None = None) -> httpx.Response:
        """POST a body, or GET without one, at the first address that takes the connection."""
        headers = {**_HEADERS, "Host": endpoint.host_header}
        for address in addresses:
            request = self._client.build_request(
                "GET" if body is None else "POST",
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

    async def _read(self, response: httpx.Response, most: int) -> bytes:
        if response.is_redirect or 300 <= response.status_code < 400:
            raise _BadReplyError("redirect")
        if not response.is_success:
            raise _BadReplyError("http-status", describe_status(response.status_code, await self._why(response)))
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise _BadReplyError("reply-encoded")
        return await _body(response, most)

    async def _why(self, response: httpx.Response) -> bytes:
        """What explains an error's status: of this machine's own endpoint its body, of a stranger's nothing."""
        if self._settings.is_local and is_loopback(response.url.host):
            with suppress(_BadReplyError, httpx.HTTPError):
                return await _body(response, MAX_ABOUT_BYTES)
        return b""


async def _body(response: httpx.Response, most: int) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > most:
            raise _BadReplyError("reply-too-large", f"the answer has more than {most} bytes")
    return bytes(content)


def _with_other_slash(endpoint: Endpoint, response: httpx.Response) -> Endpoint | None:
    """Where a redirect leads that does nothing but add or take the slash at the end of the path."""
    if response.status_code not in (307, 308):
        return None
    base = f"{endpoint.scheme}://{endpoint.host_header}{endpoint.path}"
    try:
        target = parse_endpoint(urljoin(base, response.headers.get("location", "")))
    except (TargetError, ValueError):
        return None
    paths = [place.path.partition("?")[0] for place in (endpoint, target)]
    same = (target.scheme, target.host, target.port) == (endpoint.scheme, endpoint.host, endpoint.port)
    return target if same and paths[0] != paths[1] and paths[0].rstrip("/") == paths[1].rstrip("/") else None
