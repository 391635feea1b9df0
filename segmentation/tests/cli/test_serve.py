"""`mipseg serve` is the command `api`."""

import sys

import pytest

import mipserve.server
from tests.cli.conftest import Command


def test_hands_its_options_to_the_api(mipseg: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(mipserve.server, "main", lambda: seen.append(list(sys.argv)))
    monkeypatch.setattr(sys, "argv", ["mipseg"])
    assert mipseg("serve", "--port", "8123", "--no-reload").code == 0
    assert seen == [["mipseg serve", "--port", "8123", "--no-reload"]]


def test_says_what_is_missing(mipseg: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mipseg.cli.serve.entry_points", lambda **_: [])
    answer = mipseg("serve")
    assert answer.code == 2
    assert answer.stderr == "error: the package mipserve, which is the unified API, is not installed\n"
