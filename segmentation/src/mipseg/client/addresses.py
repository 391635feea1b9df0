"""Who can reach an address: this machine, its network, or everyone."""

import socket
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, urlsplit

_LOCAL_ENDINGS = (".local", ".lan", ".internal", ".home.arpa")


class Scope(IntEnum):
    """From where an address can be reached."""

    LOOPBACK = 0
    PRIVATE = 1
    PUBLIC = 2


def split_address(text: str) -> SplitResult:
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
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or a password")
    if parts.fragment:
        raise ValueError("must not hold a #fragment")
    return parts


def scope_of_literal(host: str) -> Scope | None:
    """The scope of an IP address or of localhost; None for any other name."""
    host = host.rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return Scope.LOOPBACK
    try:
        address: IPv4Address | IPv6Address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    # 0.0.0.0 is where a service listens; as a destination it means this machine.
    if address.is_loopback or address.is_unspecified:
        return Scope.LOOPBACK
    return Scope.PUBLIC if address.is_global else Scope.PRIVATE


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
