import ipaddress
import socket
from typing import Any

import pytest

from mipjudge.errors import TargetError
from mipjudge.settings import JudgeSettings
from mipjudge.target import MAX_URL, AddressPolicy, parse_endpoint, resolve_name

HOSTILE = [
    "http://169.254.169.254/latest/meta-data",
    "http://127.0.0.1:8080/",
    "http://[::1]:8080/",
    "http://[::ffff:7f00:1]:8080/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:7f00:1::1]/",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://localhost/",
    "http://localhost.:8080/",
    "http://0.0.0.0:8080/",
    "http://10.1.2.3/",
    "http://100.64.0.1/",
    "http://192.168.1.1/",
    "http://[fd00::1]/",
    "http://[fe80::1]/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "file:///etc/passwd",
    "gopher://8.8.8.8/",
    "http://user:pw@8.8.8.8/",
    "http://8.8.8.8@127.0.0.1/",
    "http://8.8.8.8:22/",
    "http://8.8.8.8:99999/",
    "http://8.8.8.8:0/",
    "http://[fe80::1%25eth0]/",
    "http:///predict",
    "http://8.8.8.8\\@127.0.0.1/",
    "http://8.8.8.8/\r\nX: y",
    "http://8.8.8.8/" + "a" * 2048,
    "http://ex\u0430mple.com/",
    "",
]


@pytest.mark.hazard("H1")
@pytest.mark.parametrize("url", HOSTILE)
def test_hostile_urls_are_refused(url: str) -> None:
    with pytest.raises(TargetError):
        AddressPolicy().addresses(parse_endpoint(url))


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://user:pw@8.8.8.8/", "url-with-user"),
        ("http://user@8.8.8.8/", "url-with-user"),
        ("ftp://8.8.8.8/", "url-malformed"),
        ("http://8.8.8.8\\x/", "url-malformed"),
        ("http://ex\u0430mple.com/", "url-malformed"),
        ("http://8.8.8.8/\t", "url-malformed"),
        ("http://example.com%2f/", "url-malformed"),
        ("http://[fe80::1%25eth0]/", "url-malformed"),
        ("http://8.8.8.8/".ljust(MAX_URL + 1, "a"), "url-malformed"),
        ("http://8.8.8.8:1023/", "url-port"),
        ("http://8.8.8.8:22/", "url-port"),
    ],
)
def test_what_is_wrong_with_a_url_is_named(url: str, code: str) -> None:
    with pytest.raises(TargetError) as error:
        parse_endpoint(url)
    assert error.value.code == code


@pytest.mark.parametrize(("url", "port"), [
    ("http://a.example/", 80), ("https://a.example/", 443), ("https://a.example:80/", 80),
    ("http://a.example:443/", 443), ("http://a.example:1024/", 1024), ("http://a.example:65535/", 65535),
    ("http://8.8.8.8/".ljust(MAX_URL, "a"), 80),
])  # fmt: skip
def test_these_can_be_called(url: str, port: int) -> None:
    assert parse_endpoint(url).port == port


def test_each_address_of_a_host_comes_once_and_in_the_system_s_order(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ["::2", "127.0.0.2", "::2", "127.0.0.1"]
    asked = []

    def lookup(*where: object, **kind: object) -> list[tuple[object, ...]]:
        asked.append((where, kind))
        return [(0, 0, 0, "", (address, 64999)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert resolve_name("a.example", 64999) == ["::2", "127.0.0.2", "127.0.0.1"]
    assert asked == [(("a.example", 64999), {"type": socket.SOCK_STREAM, "proto": socket.IPPROTO_TCP})]


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_may_be_called(address: str) -> None:
    assert AddressPolicy().may_call(address)


@pytest.mark.parametrize("address", [
    "64:ff9b:1::808:808", "fec0::1", "::8.8.8.8", "::ffff:0:8.8.8.8", "3fff::1", "5f00::1", "192.88.99.1", "192.0.0.8",
    "2002:808:808::1", "2001::1", "100::1", "0.0.0.0", "::", "fe80::1%eth0", "8.8.8.8.", "",
])  # fmt: skip
def test_addresses_that_are_not_certainly_public_may_not(address: str) -> None:
    assert not AddressPolicy().may_call(address)


def test_where_a_service_listens_means_this_machine() -> None:
    local = AddressPolicy(JudgeSettings(_env_file=None).allowed_networks)
    assert local.addresses(parse_endpoint("http://0.0.0.0:9051/predict")) == ["127.0.0.1"]
    assert local.addresses(parse_endpoint("http://[::]:9051/predict")) == ["::1"]


def test_a_name_with_one_private_address_is_refused() -> None:
    policy = AddressPolicy(resolver=lambda *_: ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(TargetError, match="not public") as error:
        policy.addresses(parse_endpoint("https://example.com/predict"))
    assert error.value.code == "address-refused"


def test_a_name_without_address_is_refused() -> None:
    def unknown(*_: object) -> list[str]:
        raise socket.gaierror

    def none(*_: object) -> list[str]:
        return []

    def unspeakable(*_: object) -> list[str]:  # `"a..example".encode("idna")`
        raise UnicodeError

    for resolver in (unknown, none, unspeakable):
        with pytest.raises(TargetError, match="no address") as error:
            AddressPolicy(resolver=resolver).addresses(parse_endpoint("https://example.com/predict"))
        assert error.value.code == "unresolvable"


def test_the_operators_list_allows_what_it_names_and_no_more() -> None:
    policy = AddressPolicy((ipaddress.ip_network("10.1.0.0/16"),))
    assert policy.may_call("10.1.2.3")
    assert policy.may_call("::ffff:10.1.2.3")
    assert not policy.may_call("::a01:203")  # the same number, of another kind
    assert not policy.may_call("10.2.2.3")
    assert not policy.may_call("127.0.0.1")


@pytest.mark.parametrize(
    ("settings", "allowed", "refused"),
    [
        ({}, ["127.0.0.1", "::1"], ["10.0.0.1", "169.254.169.254", "0.0.0.0"]),
        ({"host": "0.0.0.0"}, [], ["127.0.0.1", "::1"]),
        ({"host": "0.0.0.0", "local": True}, [], ["127.0.0.1", "::1"]),
        ({"local": False}, [], ["127.0.0.1"]),
        ({"host": "0.0.0.0", "allow": "10.0.0.0/8, fd00::/8"}, ["10.0.0.1", "fd00::1"], ["127.0.0.1"]),
        ({"allow": ""}, [], ["127.0.0.1"]),
    ],
)
def test_loopback_is_allowed_for_a_local_judge_alone(
    settings: dict[str, Any], allowed: list[str], refused: list[str]
) -> None:
    policy = AddressPolicy(JudgeSettings(_env_file=None, **settings).allowed_networks)
    assert all(map(policy.may_call, allowed))
    assert not any(map(policy.may_call, refused))


def test_a_judge_listens_to_this_machine_unless_told_otherwise() -> None:
    settings = JudgeSettings(_env_file=None)
    assert (settings.host, settings.is_local) == ("127.0.0.1", True)
    assert not JudgeSettings(_env_file=None, host="0.0.0.0").is_local


def test_the_parts_of_a_url() -> None:
    endpoint = parse_endpoint("https://Example.com/predict?a=b#c")
    assert endpoint.at("2606:4700::1111") == "https://[2606:4700::1111]:443/predict?a=b"
    assert endpoint.host_header == "example.com"
    assert parse_endpoint("http://[2606:4700::1111]:9051").host_header == "[2606:4700::1111]:9051"
    assert parse_endpoint("http://example.com:9051").path == "/"
    assert parse_endpoint("http://example.com?a").path == "/?a"
    hosts = ("https://a.example:443", "http://a.example:443", "https://a.example:80")
    assert [parse_endpoint(url).host_header for url in hosts] == ["a.example", "a.example:443", "a.example:80"]
