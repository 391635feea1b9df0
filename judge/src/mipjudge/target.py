"""Which endpoints may be called: URLs come from strangers, and this machine stands inside of a network.

A URL is resolved once, every address of it has to be public or in the operator's list, and what is connected to is the
address that was checked, never the name again.
"""

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass

from mipjudge.errors import TargetError
from mipjudge.settings import Network
from mipseg.http.addresses import as_destination, is_public, parse_ip, split_url

MAX_URL = 2048
DEFAULT_PORTS = {"http": 80, "https": 443}
_VISIBLE = re.compile(r"[!-\[\]-~]+")  # printable ASCII without blank and backslash
Resolver = Callable[[str, int], list[str]]


@dataclass(frozen=True)
class Endpoint:
    """A checked URL in its parts.

    Attributes:
        scheme: `http` or `https`.
        host: name or address, without brackets.
        port: TCP port.
        path: with the query, begins with `/`.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        """The host as the endpoint's server wants it named."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def at(self, address: str) -> str:
        """The URL with an address in place of the name."""
        return f"{self.scheme}://{f'[{address}]' if ':' in address else address}:{self.port}{self.path}"


def parse_endpoint(url: str) -> Endpoint:
    """Take a URL apart.

    Raises:
        TargetError: not http or https, with a user or password, or with a port that is another service's.
    """
    if len(url) > MAX_URL or not _VISIBLE.fullmatch(url):
        raise TargetError("url-malformed", f"the URL must be printable ASCII of at most {MAX_URL} characters")
    try:
        parts = split_url(url)
    except ValueError as error:
        code = "url-with-user" if "password" in str(error) else "url-malformed"
        raise TargetError(code, f"the URL {error}") from None
    if "%" in parts.netloc:
        raise TargetError("url-malformed", "the URL's host must be a name or an address")
    port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
    if port < 1024 and port not in DEFAULT_PORTS.values():
        raise TargetError("url-port", "the port must be 80, 443, or 1024 and above")
    path = parts.path or "/"
    return Endpoint(parts.scheme, parts.hostname or "", port, f"{path}?{parts.query}" if parts.query else path)


def resolve_name(host: str, port: int) -> list[str]:
    """Every address of a host, in the order of the system's preference."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True)
class AddressPolicy:
    """Which addresses may be called.

    Attributes:
        allowed: networks that may be called though they are not public.
        resolver: turns host and port into addresses.
    """

    allowed: tuple[Network, ...] = ()
    resolver: Resolver = resolve_name

    def addresses(self, endpoint: Endpoint) -> list[str]:
        """The addresses to connect to.

        Raises:
            TargetError: the name has none, or one that may not be called.
        """
        try:
            found = self.resolver(endpoint.host, endpoint.port)
        except (OSError, UnicodeError):
            found = []
        # Teams give the address that their service listens at; as a destination, it means this machine.
        addresses = [as_destination(address) for address in found]
        if not addresses:
            raise TargetError("unresolvable", "the URL's host has no address")
        if not all(self.may_call(address) for address in addresses):
            raise TargetError("address-refused", "the URL leads to an address that is not public")
        return addresses

    def may_call(self, text: str) -> bool:
        """Whether one address may be called."""
        address = parse_ip(text)
        if address is None:
            return False
        return any(address in network for network in self.allowed) or is_public(address)
