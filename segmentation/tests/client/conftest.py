"""A stand-in judge, a team's settings, and the two commands run in this process."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mipseg.client import check_status, follow, validate
from tests.client.judge import CANARY, UUID, StandIn

SERVICE = "https://team.example/predict"


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def object(self) -> Any:
        """The one JSON object on stdout."""
        assert self.out.count("\n") == 1
        return json.loads(self.out)


Command = Callable[..., Result]


@pytest.fixture
def judge() -> Iterator[StandIn]:
    with StandIn() as stand_in:
        yield stand_in


@pytest.fixture(autouse=True)
def settings(judge: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A team's settings in an otherwise clean environment."""
    monkeypatch.chdir(tmp_path)  # away from any .env
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.upper().startswith(
            ("EVAL_API_", "TUMOR_SEGMENTATION_", "SSL_CERT_")
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("EVAL_API_URL", judge.url)
    monkeypatch.setenv("EVAL_API_TOKEN", CANARY)
    monkeypatch.setenv("TUMOR_SEGMENTATION_SERVICE_URL", SERVICE)
    monkeypatch.setenv("MIPSEG_JUDGE_DIR", str(tmp_path / "judge"))


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between polls; they are noted instead of made."""
    made: list[float] = []
    monkeypatch.setattr(follow, "time", SimpleNamespace(sleep=made.append))
    return made


def _command(main: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str) -> Result:
        try:
            code = main(list(arguments))
        except SystemExit as stop:  # argparse
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        assert CANARY not in (out + err).replace(f"/attempts/{UUID}#{CANARY}", "")  # but in a local team's own page
        assert "Traceback" not in out + err
        return Result(code, out, err)

    return run


@pytest.fixture
def run_validate(capsys: pytest.CaptureFixture[str]) -> Command:
    return _command(validate.main, capsys)


@pytest.fixture
def run_check(capsys: pytest.CaptureFixture[str]) -> Command:
    return _command(check_status.main, capsys)
