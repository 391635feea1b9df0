from ipaddress import ip_address

import pytest

from mipseg.http.addresses import Scope, is_loopback, is_public, parse_ip, scope_of, split_url


@pytest.mark.parametrize(("url", "scope"), [
    ("http://127.9.9.9", Scope.LOOPBACK), ("http://localhost.:80", Scope.LOOPBACK),
    ("http://a.localhost", Scope.LOOPBACK),
    ("http://2130706433", Scope.LOOPBACK), ("http://0x7f.1", Scope.LOOPBACK), ("http://[::]", Scope.LOOPBACK),
    ("http://172.16.0.1", Scope.PRIVATE), ("http://100.64.0.1", Scope.PRIVATE),
    ("http://169.254.169.254", Scope.PRIVATE),
    ("http://[fe80::1]", Scope.PRIVATE), ("http://[fd00::1]", Scope.PRIVATE),
    ("http://[::ffff:10.0.0.1]", Scope.PRIVATE),
    ("http://8.8.8.8", Scope.PUBLIC), ("http://[2606:4700::1111]", Scope.PUBLIC), ("http://134744072", Scope.PUBLIC),
])  # fmt: skip
def test_scopes(url: str, scope: Scope) -> None:
    assert scope_of(url) is scope


@pytest.mark.parametrize("text", [
    "1.0.0.1", "8.8.8.8", "99.255.255.255", "100.128.0.1", "172.32.0.1", "192.0.1.1", "192.88.98.1", "198.20.0.1",
    "223.255.255.255", "2001:200::1", "2606:4700::1111", "2a00::1", "3ffe::1",
])  # fmt: skip
def test_public_addresses(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize("text", [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "169.254.169.254", "172.31.0.1",
    "192.0.0.8", "192.0.0.9", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.19.255.255", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b:1::a9fe:a9fe", "64:ff9b:1:2::1", "100::1",
    "2001::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::1", "2002:808:808::1", "3fff::1", "3fff:fff::1", "5f00::1",
    "4000::1", "fc00::1", "fd00::1", "fe80::1", "fec0::1", "ff02::1",
])  # fmt: skip
def test_addresses_that_are_not_certainly_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize(("text", "plain"), [
    ("::ffff:10.0.0.1", "10.0.0.1"), ("64:ff9b::a9fe:a9fe", "169.254.169.254"), ("64:ff9b::808:808", "8.8.8.8"),
    ("8.8.8.8", "8.8.8.8"), ("64:ff9b:1::808:808", "64:ff9b:1::808:808"), ("2606:4700::1111", "2606:4700::1111"),
])  # fmt: skip
def test_ipv4_within_ipv6(text: str, plain: str) -> None:
    assert parse_ip(text) == ip_address(plain)


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "0x7f.1", "2130706433", "1.2.3.4/8"])
def test_what_is_not_an_ip_address(text: str) -> None:
    assert parse_ip(text) is None


def test_listening_on_loopback() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.9.9.9", "::1")))
    assert not any(map(is_loopback, ("", "0.0.0.0", "::", "localhost.", "a.localhost", "10.0.0.1", "::ffff:127.0.0.1")))


def test_the_parts_of_a_web_address() -> None:
    parts = split_url("https://Host.example:8443/a/b?c=d#e")
    assert (parts.scheme, parts.hostname, parts.port) == ("https", "host.example", 8443)
    assert (parts.path, parts.query, parts.fragment) == ("/a/b", "c=d", "e")


@pytest.mark.parametrize(("text", "message"), [
    ("", "must begin with http"), ("host:80", "must begin with http"), ("ftp://host", "must begin with http"),
    ("http:///x", "must begin with http"), ("http://@host", "user or a password"), ("http://u:p@host", "user or a"),
    ("http://host:0", "is not a web address"), ("http://host:99999", "is not a web address"),
    ("http://a b/", "is not a web address"), ("http://[::1", "is not a web address"),
])  # fmt: skip
def test_what_is_not_a_web_address(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        split_url(text)
    assert not text or text not in str(error.value)
