import pytest
from fastapi import Request

from mipseg.serving.callers import is_from_here

FORWARDED = ["x-forwarded-for", "x-forwarded-host", "forwarded", "via", "x-real-ip", "x-client-ip", "cf-connecting-ip"]


def asked(caller: str, *headers: tuple[str, str], root_path: str = "") -> bool:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "client": (caller, 5), "headers": raw, "path": "/", "server": ("127.0.0.1", 8000)}
    return is_from_here(Request(scope | {"root_path": root_path}))


@pytest.mark.parametrize(("caller", "host"), [
    ("127.0.0.1", "localhost:8000"), ("127.0.0.1", "LOCALHOST"), ("127.0.0.1", "127.0.0.1"),
    ("127.0.0.3", "127.0.0.2:1"), ("::1", "[::1]:8000"),
])  # fmt: skip
def test_a_program_on_this_machine(caller: str, host: str) -> None:
    assert asked(caller, ("host", host))


@pytest.mark.parametrize(("caller", "host"), [
    ("192.0.2.1", "localhost:8000"), ("10.0.0.1", "localhost"), ("127.0.0.1", "team.example"), ("127.0.0.1", ""),
    ("127.0.0.1", "a`b.evil.test"), ("127.0.0.1", "localhost.evil.test"), ("127.0.0.1", "127.0.0.1@evil.test"),
])  # fmt: skip
def test_somebody_else(caller: str, host: str) -> None:
    assert not asked(caller, ("host", host))


@pytest.mark.parametrize("name", FORWARDED)
def test_a_proxy_in_between(name: str) -> None:
    assert not asked("127.0.0.1", ("host", "localhost"), (name, "192.0.2.1"))


def test_one_host_is_asked_for() -> None:
    assert not asked("127.0.0.1")
    assert not asked("127.0.0.1", ("host", "localhost"), ("host", "localhost"))


def test_a_service_below_a_path_is_behind_a_proxy() -> None:
    assert not asked("127.0.0.1", ("host", "127.0.0.1:8000"), root_path="/mipseg")
