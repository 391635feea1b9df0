"""Web addresses and IP addresses: taking them apart, and from where they can be reached; the rules for all packages.

Which addresses are public is said here by list: the tables of Python's `ipaddress` differ between its versions.
"""

import ipaddress
import socket
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import SplitResult, urlsplit

IpAddress = IPv4Address | IPv6Address
_EVERY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
_LOCAL_ENDINGS = (".local", ".lan", ".internal", ".home.arpa")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # carries an IPv4 address, as ::ffff:0:0/96 does
# IANA's special-purpose registries (RFC 6890 and its updates), with multicast and what is reserved.
_SPECIAL_IPV4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
            "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        ),
    )
)  # fmt: skip
_PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")  # all that has been given out so far
_SPECIAL_IPV6 = tuple(
    map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"))
)


class Scope(IntEnum):
    """From where an address can be reached."""

    LOOPBACK = 0
    PRIVATE = 1
    PUBLIC = 2


def split_url(text: str) -> SplitResult:
    """Take a web address apart.

    Raises:
        ValueError: anything but http(s)://host[:port][/path][?query]; the text says why without repeating the address,
            which may hold a password.
    """
    try:
        parts = urlsplit(text)
        valid_port = parts.port != 0
    except ValueError:
        raise ValueError("is not a web address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must begin with http:// or https:// and a host")
    if not valid_port or not text.isprintable() or " " in text:
        raise ValueError("is not a web address")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user or a password")
    return parts


def predict_url(text: str) -> str:
    """The address of an endpoint's `/predict`, which is appended unless the path ends so.

    Raises:
        ValueError: see `split_url`; or it has a fragment.
    """
    parts = split_url(text.strip())
    if parts.fragment:
        raise ValueError("must not hold a #fragment")
    path = parts.path.rstrip("/")
    return parts.geturl() if path.endswith("/predict") else parts._replace(path=f"{path}/predict").geturl()


def parse_ip(text: str) -> IpAddress | None:
    """Read an IP address; one that IPv6 carries for IPv4 (mapped, or NAT64 with the well-known prefix) becomes IPv4."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: IpAddress) -> bool:
    """Whether an address certainly is one host's on the public internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_IPV4)
    return address in _PUBLIC_IPV6 and not any(address in network for network in _SPECIAL_IPV6)


def is_loopback(host: str) -> bool:
    """Whether an address to listen on, or one that connected, is this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def as_destination(address: str) -> str:
    """Where what listens at an address is called from here: 0.0.0.0 and :: stand for every address of this machine."""
    return _EVERY.get(address, address)


def scope_of_literal(host: str) -> Scope | None:
    """The scope of an IP address or of localhost as a destination; None for any other name."""
    host = host.rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return Scope.LOOPBACK
    address = parse_ip(host)
    if address is None:
        return None
    # 0.0.0.0 is where a service listens; as a destination it means this machine.
    if address.is_loopback or address.is_unspecified:
        return Scope.LOOPBACK
    return Scope.PUBLIC if is_public(address) else Scope.PRIVATE


def scope_of(url: str) -> Scope:
    """The scope of a web address as seen from here; a name that nobody here knows counts as public."""
    host = urlsplit(url).hostname or ""
    if (known := scope_of_literal(host)) is not None:
        return known
    try:
        found = [scope_of_literal(str(entry[4][0]).partition("%")[0]) for entry in socket.getaddrinfo(host, None)]
    except (OSError, UnicodeError):
        return Scope.PRIVATE if "." not in host or host.endswith(_LOCAL_ENDINGS) else Scope.PUBLIC
    return max((scope for scope in found if scope is not None), default=Scope.PUBLIC)
