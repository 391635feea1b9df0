"""Every bad input ends in one clear line, and the others are done. The documentation's table has these lines."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import mipseg.cli.segment as command
import mipseg.engines.segment_case as engine
from tests.cli.bad_inputs import BAD_INPUTS
from tests.cli.conftest import Command
from tests.io.pet_files import SERIES

DOCS = Path(__file__).parents[3] / "docs" / "volumes.md"
FAULTS = {
    "a full disk": OSError(28, "No space left on device", "mask.nii.gz"),
    "an output folder that may not be written": PermissionError(13, "Permission denied", "out/.ball.partial"),
}


def _one_after_the_other(work: Callable[[Any], Any], cases: Sequence[Any], *_: object) -> Iterator[Any]:
    """All cases in this process, where the stub for the model is."""
    return map(work, cases)


@pytest.fixture
def lines(mipseg: Command, volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """What one run says of all bad inputs and of a sound one, by case."""
    monkeypatch.setattr(command, "run_cases", _one_after_the_other)
    for _, name, make in BAD_INPUTS:
        make(tmp_path / name)
    answer = mipseg("segment", *(tmp_path / name for _, name, _ in BAD_INPUTS), volume, "-o", tmp_path / "out")
    assert answer.code == 1
    assert f"error: {len(BAD_INPUTS) - 1} of {len(BAD_INPUTS) + 1} cases failed" in answer.stderr
    return {Path(line["input"]).name: line for line in answer.lines}


def test_a_sound_input_among_bad_ones_is_done(lines: dict[str, dict[str, Any]]) -> None:
    assert len(lines) == len(BAD_INPUTS) + 1
    done = [name for name, line in lines.items() if line["status"] == "done"]
    assert sorted(done) == ["ball.nii.gz", "big-endian.nii"]


def test_the_table_of_the_documentation_is_what_is_said(
    lines: dict[str, dict[str, Any]], mipseg: Command, volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [(what, _shown(lines[name], tmp_path)) for what, name, _ in BAD_INPUTS]
    for what, fault in FAULTS.items():
        monkeypatch.setattr(engine, "write_json", _raising(fault))
        (line,) = mipseg("segment", volume, "-o", tmp_path / "faulty").lines
        said.append((what, _shown(line, tmp_path)))
    table = "\n".join(f"| {what} | {message} | {code} |" for what, (message, code) in said)
    assert table in DOCS.read_text(encoding="utf-8"), f"docs/volumes.md should hold\n{table}"


def _shown(line: dict[str, Any], folder: Path) -> tuple[str, int]:
    error = line["error"].replace(f"{folder}/", "").replace(SERIES, "<UID>")
    assert "\n" not in error
    return (f"`{error}`", 1) if line["status"] == "failed" else ("none: it is read", 0)


def _raising(error: OSError) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail
