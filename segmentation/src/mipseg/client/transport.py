"""One HTTP call to the judge: bounded in time and size, with the token, and with one-line errors."""

import socket
import ssl
import time
from dataclasses import dataclass
from http import HTTPMethod
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit

import httpx
from pydantic import SecretStr

from mipseg.client.errors import AnswerError, TransportError, UsageError
from mipseg.client.settings import ClientSettings
from mipseg.http.bounded import read_bounded
from mipseg.http.json_body import one_line

CONNECT_S = 10.0
ANSWER_S = 30.0
MAX_ANSWER_BYTES = 16 * 2**20  # the connection test's answer carries two images


@dataclass(frozen=True)
class Reply:
    """What came back: status, body, and how long the judge asks to wait."""

    status: int
    content: bytes
    retry_after: float | None

    @property
    def ok(self) -> bool:
        """Whether the status is any 2xx."""
        return 200 <= self.status < 300


class Transport:
    """Calls to one judge; a context manager.

    Attributes:
        base: the judge's address.
        token: sent with every call; in the header alone, never in an address.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self.base = settings.eval_api_url
        self.token: SecretStr | None = settings.eval_api_token
        self._local = settings.judge_is_local
        # Reading the trusted certificates takes longer than all calls; here nothing is encrypted, so none is trusted.
        plain = self._local and self.base.startswith("http:")
        try:
            self._client = httpx.Client(
                verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else True,
                timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
                follow_redirects=False,  # a redirect would carry the token to wherever it points
                trust_env=not self._local,  # a proxy elsewhere would look for localhost on its own machine
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            )
        except Exception:  # anything that the environment says about proxies and certificates; may hold passwords
            text = "the environment's proxy or certificate settings (HTTPS_PROXY, SSL_CERT_FILE ...) can't be used"
            raise UsageError("bad-setting", text) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def redact(self, text: str) -> str:
        """Make a text that came from the judge fit to be shown."""
        token = self.token.get_secret_value() if self.token else ""
        return one_line(text.replace(token, "[token]") if token else text)

    def call(
        self, method: HTTPMethod, path: str, body: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """Make one call; redirects are not followed.

        Args:
            method: GET, POST or DELETE.
            path: below the judge's address.
            body: sent as JSON.
            headers: beside the token's.

        Raises:
            TransportError: no answer came, or a redirect.
            AnswerError: the answer is too large.
        """
        headers = (headers or {}) | ({"x-token": self.token.get_secret_value()} if self.token else {})
        end = time.monotonic() + ANSWER_S
        try:
            with self._client.stream(method, self.base + path, json=body, headers=headers) as response:
                too_large = AnswerError(f"the judge's answer is larger than {MAX_ANSWER_BYTES >> 20} MiB")
                content = read_bounded(response.iter_bytes(), MAX_ANSWER_BYTES, end, too_large)
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
            # The library's own errors hold the request, and with it the token.
            raise self._explain(error) from None
        if 300 <= response.status_code < 400:
            raise self._redirected(response.headers.get("location", ""))
        return Reply(response.status_code, content, _seconds(response.headers.get("retry-after")))

    def _explain(self, error: Exception) -> TransportError:
        causes = _causes(error)
        if any(isinstance(cause, ssl.SSLError) for cause in causes):
            reason = next(
                (cause.verify_message for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), ""
            )
            why = f"its certificate is not trusted: {reason}" if reason else "the server does not speak TLS properly"
            return TransportError("tls", f"no secure connection to {self.base}: {one_line(why)}")
        if isinstance(error, httpx.TimeoutException):
            return TransportError("timeout", f"{self.base} does not answer in time", transient=True)
        if any(isinstance(cause, socket.gaierror) for cause in causes):
            return TransportError("no-server", f"no such host: {urlsplit(self.base).hostname}", transient=True)
        if isinstance(error, httpx.ConnectError):
            advice = "start the local one with `make api`, or set EVAL_API_URL" if self._local else "check EVAL_API_URL"
            return TransportError("no-server", f"no judge answers at {self.base}; {advice}", transient=True)
        if isinstance(error, httpx.ProxyError):
            return TransportError("no-server", f"the proxy does not let through to {self.base}", transient=True)
        return TransportError("broken", f"the connection to {self.base} broke ({type(error).__name__})", transient=True)

    def _redirected(self, location: str) -> TransportError:
        try:
            target = urlsplit(urljoin(self.base, location))
            to = self.redact(f"{target.scheme}://{target.hostname}{f':{target.port}' if target.port else ''}")
        except ValueError:
            to = "something that is not an address"
        return TransportError(
            "redirect",
            f"{self.base} redirects to {to}, which was not followed; if that is right, set EVAL_API_URL to it",
        )


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isascii() and text.isdigit() and len(text) < 6 else None
