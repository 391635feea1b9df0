"""What one sees of a training run: the bar, and scores in TensorBoard."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import torch
from rich.progress import Progress
from torch.utils.tensorboard import SummaryWriter

from mipseg.io.dataset import Case
from mipseg.training.checkpoint import State
from mipseg.training.validation import validate

# Scores that the bar shows, and what it calls them.
ON_THE_BAR = {
    "loss": "loss",
    "validation_dice": "Dice",
    "validation_clean_controls": "clean",
    "images_per_second": "images/s",
}


class Monitor:
    """Shows how a run does, and validates it every few minutes.

    Args:
        folder: of the run's network; TensorBoard's files go there.
        steps: of the whole schedule.
        validation: cases that the network does not see; none: it is not validated.
        validation_seconds: time between two validations.
        bar: whether there is a bar on the terminal, which is not shared with other networks.
    """

    def __init__(
        self, folder: Path, steps: int, validation: Sequence[Case], validation_seconds: float, bar: bool = True
    ) -> None:
        self._folder, self._validation, self._pause = folder, validation, validation_seconds
        self._log, self._bar = SummaryWriter(str(folder)), Progress(disable=not bar)
        self._task = self._bar.add_task(folder.name, total=steps)
        self._scores: dict[str, float] = {}
        self._validated = self._shown = time.monotonic()
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
        """Show the latest value of some scores, and how many images a second were trained on since the last call."""
        now = time.monotonic()
        if self._images:
            scores = {**scores, "images_per_second": self._images / (now - self._shown)}
        self._shown, self._images = now, 0
        for name, value in scores.items():
            self._log.add_scalar(name, value, step)
        self._scores.update(scores)
        words = [f"{word} {self._scores[name]:.3g}" for name, word in ON_THE_BAR.items() if name in self._scores]
        self._bar.update(self._task, completed=step, description=", ".join([self._folder.name, *words]))

    def advance(self, state: State, images: int, device: torch.device, *, ends: bool) -> None:
        """Note that a step with some images was made; validate if it is time, or if training ends here."""
        self._images += images
        self._bar.update(self._task, completed=state.step)
        if self._validation and (ends or time.monotonic() - self._validated >= self._pause):
            score = validate(state.ema_network, self._validation, device)
            self.show(state.step, {"validation_dice": score.dice, "validation_clean_controls": score.clean})
            self._validated = time.monotonic()
