import io
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from rich.console import Console  # noqa: E402
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]  # noqa: E402

from mipseg.io.dataset import Case  # noqa: E402
from mipseg.training import monitor as module  # noqa: E402
from mipseg.training.monitor import Monitor  # noqa: E402
from mipseg.training.validation import Score  # noqa: E402

CPU = torch.device("cpu")
VALIDATION_SECONDS = 100.0


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def validate(self, *_: object) -> Score:
        self.now += VALIDATION_SECONDS
        return Score(0.75, 1.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "validate", clock.validate)
    return clock


def step(number: int) -> Any:
    """What a monitor asks of the state of a training after a step."""
    return SimpleNamespace(step=number, ema_network=None)


def four_steps(folder: Path, cases: Sequence[Case], clock: Clock, bar: bool = True) -> None:
    """Four steps of 8 images in 2 s each; checkpoints at 2 and 4, validated after 3 and 4."""
    with Monitor(folder, 4, cases, 5.0, bar) as monitor:
        for number in range(1, 5):
            clock.now += 2
            if number % 2 == 0:
                monitor.show(number, {"loss": 1 / number})
            monitor.advance(step(number), 8, CPU, ends=number == 4)


def scalars(folder: Path, name: str) -> list[tuple[int, float]]:
    log = EventAccumulator(str(folder))
    log.Reload()
    return [(scalar.step, scalar.value) for scalar in log.Scalars(name)]


def test_the_rate_is_that_of_training_from_checkpoint_to_checkpoint(
    cases: list[Case], clock: Clock, tmp_path: Path
) -> None:
    four_steps(tmp_path, cases, clock)
    # The step that a checkpoint follows counts from there on.
    assert scalars(tmp_path, "images_per_second") == [(2, 8 / 4), (4, 16 / 4)]
    assert scalars(tmp_path, "validation_dice") == [(3, 0.75), (4, 0.75)]


def test_without_a_terminal_scores_are_lines(
    cases: list[Case], clock: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    four_steps(tmp_path / "mine/fold0", cases, clock)
    assert capsys.readouterr().out.splitlines() == [
        "mine/fold0, step 2 of 4, loss 0.5, images/s 2",
        "mine/fold0, step 3 of 4, loss 0.5, Dice 0.75, clean 1, images/s 2",
        "mine/fold0, step 4 of 4, loss 0.25, Dice 0.75, clean 1, images/s 4",
        "mine/fold0, step 4 of 4, loss 0.25, Dice 0.75, clean 1, images/s 4",
    ]


def test_a_terminal_has_a_bar_with_the_names_of_run_and_network(
    cases: list[Case],
    clock: Clock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal = io.StringIO()
    console = Console(file=terminal, force_terminal=True, force_interactive=True, width=200)
    monkeypatch.setattr(module, "get_console", lambda: console)
    four_steps(tmp_path / "mine/fold0", cases, clock)
    assert "mine/fold0, loss 0.25, Dice 0.75, clean 1, images/s 4" in terminal.getvalue()
    assert "step 4 of 4" not in terminal.getvalue()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("is_terminal", [True, False])
def test_without_a_bar_nothing_is_written(
    is_terminal: bool,
    cases: list[Case],
    clock: Clock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = Console(force_terminal=is_terminal, force_interactive=is_terminal)
    monkeypatch.setattr(module, "get_console", lambda: console)
    four_steps(tmp_path, cases, clock, bar=False)
    assert capsys.readouterr().out == ""
