"""What one sees of a training run: a bar, or lines where the output is no terminal, and scores in TensorBoard."""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import torch
from rich import get_console
from rich.progress import Progress
from torch.utils.tensorboard import SummaryWriter

from mipseg.io.dataset import Case
from mipseg.training.checkpoint import State
from mipseg.training.validation import validate

# Scores that are shown, and what they are called there.
ON_THE_BAR = {
    "loss": "loss",
    "validation_dice": "Dice",
    "validation_clean_controls": "clean",
    "images_per_second": "images/s",
}


class Monitor:
    """Shows how a network does, and validates it every few minutes.

    Args:
        folder: of the network, in that of its run; TensorBoard's files go there.
        steps: of the whole schedule.
        validation: cases that the network does not see; none: it is not validated.
        validation_seconds: time between two validations.
        bar: whether anything is written: a bar on a terminal, which is not shared with other networks, or else a line
            whenever there are scores.
    """

    def __init__(
        self, folder: Path, steps: int, validation: Sequence[Case], validation_seconds: float, bar: bool = True
    ) -> None:
        self._folder, self._validation, self._pause = folder, validation, validation_seconds
        self._name, self._steps = f"{folder.parent.name}/{folder.name}", steps
        console = get_console()
        self._writes_lines = bar and not console.is_interactive
        self._log = SummaryWriter(str(folder))
        self._bar = Progress(console=console, disable=not (bar and console.is_interactive))
        self._task = self._bar.add_task(self._name, total=steps)
        self._scores: dict[str, float] = {}
        self._validated = self._counted = time.monotonic()
        self._images = 0

    def __enter__(self) -> "Monitor":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        self._log.close()

    def show(self, step: int, scores: Mapping[str, float]) -> None:
        """Show scores at a checkpoint, and how many images a second were trained on since the last one."""
        now = time.monotonic()
        if self._images:
            scores = {**scores, "images_per_second": self._images / (now - self._counted)}
        self._counted, self._images = now, 0
        self._note(step, scores)

    def _note(self, step: int, scores: Mapping[str, float]) -> None:
        """Log scores, and show the latest value of each."""
        for name, value in scores.items():
            self._log.add_scalar(name, value, step)
        self._scores.update(scores)
        words = [f"{word} {self._scores[name]:.3g}" for name, word in ON_THE_BAR.items() if name in self._scores]
        self._bar.update(self._task, completed=step, description=", ".join([self._name, *words]))
        if self._writes_lines:
            sys.stdout.write(", ".join([self._name, f"step {step} of {self._steps}", *words]) + "\n")
            sys.stdout.flush()

    def advance(self, state: State, images: int, device: torch.device, *, ends: bool) -> None:
        """Note that a step with some images was made; validate if it is time, or if training ends here."""
        self._images += images
        self._bar.update(self._task, completed=state.step)
        begun = time.monotonic()
        if self._validation and (ends or begun - self._validated >= self._pause):
            score = validate(state.ema_network, self._validation, device)
            self._note(state.step, {"validation_dice": score.dice, "validation_clean_controls": score.clean})
            self._validated = time.monotonic()
            self._counted += self._validated - begun  # the rate is that of training
