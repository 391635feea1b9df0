"""Which endpoints may be called: URLs come from strangers, and this machine stands inside of a network.

A URL is resolved once, every address of it has to be public or in the operator's list, and what is connected to is the
address that was checked, never the name again.
"""

import ipaddress
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from mipjudge.errors import TargetError
from mipjudge.settings import Network

MAX_URL = 2048
DEFAULT_PORTS = {"http": 80, "https": 443}
_VISIBLE = re.compile(r"[!-\[\]-~]+")  # printable ASCII without blank and backslash
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # carries an IPv4 address, as ::ffff:0:0/96 does
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
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
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise TargetError("url-malformed", "the URL can't be read; send one such as https://host/predict") from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or "%" in parts.netloc:
        raise TargetError("url-malformed", "the URL must begin with http:// or https:// and a host")
    if "@" in parts.netloc:
        raise TargetError("url-with-user", "the URL must not hold a user or password")
    port = DEFAULT_PORTS[parts.scheme] if port is None else port
    if port < 1024 and port not in DEFAULT_PORTS.values():
        raise TargetError("url-port", "the port must be 80, 443, or 1024 and above")
    path = parts.path or "/"
    return Endpoint(parts.scheme, parts.hostname, port, f"{path}?{parts.query}" if parts.query else path)


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
            addresses = self.resolver(endpoint.host, endpoint.port)
        except (OSError, UnicodeError):
            addresses = []
        if not addresses:
            raise TargetError("unresolvable", "the URL's host has no address")
        if not all(self.may_call(address) for address in addresses):
            raise TargetError("address-refused", "the URL leads to an address that is not public")
        return addresses

    def may_call(self, text: str) -> bool:
        """Whether one address may be called."""
        try:
            address = _plain(ipaddress.ip_address(text))
        except ValueError:
            return False
        if any(address.version == network.version and address in network for network in self.allowed):
            return True
        return address.is_global and not address.is_multicast and not _is_tunnel(address)


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_tunnel(address: Address) -> bool:
    return isinstance(address, ipaddress.IPv6Address) and (address.sixtofour or address.teredo) is not None
