"""Patients without reference, whom the network labels in the course of its training."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from mipseg.io.dataset import Case  # noqa: E402
from mipseg.model.inference import infer  # noqa: E402
from mipseg.training import train as module  # noqa: E402
from mipseg.training.augment import Batch, Sampler  # noqa: E402
from mipseg.training.checkpoint import load_ema_network  # noqa: E402
from mipseg.training.config import BOTH, Config  # noqa: E402
from mipseg.training.network import UNet  # noqa: E402
from mipseg.training.predict import as_networks  # noqa: E402
from mipseg.training.runs import Run  # noqa: E402
from mipseg.training.split import Split  # noqa: E402
from mipseg.training.train import NetworkTask, label, train, train_step  # noqa: E402
from tests.training.tasks import CPU, EVERY_STEP, OPTIONS, checkpoint, interrupt, new_task  # noqa: E402

PIXELS = 2 * 128 * 128  # of the patients without reference


@pytest.fixture
def semi(config: Config) -> Config:
    """Eight steps; the patients without reference are labelled after two and after five, and half of what is drawn."""
    return replace(config, images=16, unlabelled_fraction=0.5, label_at=(0.25, 0.7))


@pytest.fixture
def semi_task(semi: Config, cases: list[Case], unlabelled: list[Case], tmp_path: Path) -> NetworkTask:
    return new_task(semi, tmp_path, cases, unlabelled)


class Watched(Sampler):
    """A sampler that notes the share of patients without reference that it was asked for, and their targets."""

    shares: list[float]
    targets: list[float]

    def draw(self, size: int, unlabelled: float) -> Batch:
        self.shares.append(unlabelled)
        self.targets.append(self._stock.targets[self._stock.groups[2]].float().sum().item())
        return super().draw(size, unlabelled)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> type[Watched]:
    """The sampler of every training of a test."""
    Watched.shares, Watched.targets = [], []
    monkeypatch.setattr(module, "Sampler", Watched)
    return Watched


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Whom a network had to label each time; it answers with the number of times so far, everywhere."""
    asked: list[list[str]] = []

    def labelled(network: UNet, cases: Sequence[Case], _: object) -> list[npt.NDArray[np.uint8]]:
        asked.append([case.id for case in cases])
        assert not network.training
        return [np.full(case.image.shape, len(asked), np.uint8) for case in cases]

    monkeypatch.setattr(module, "label", labelled)
    return asked


def test_patients_without_reference_are_labelled_at_the_given_steps(
    semi_task: NetworkTask, watched: type[Watched], asked: list[list[str]]
) -> None:
    assert semi_task.config.label_steps == (2, 5)
    train(semi_task, OPTIONS)
    assert asked == [["unlabelled_0", "unlabelled_1"]] * 2
    assert watched.shares == [0] * 2 + [0.5] * 6
    assert watched.targets == [0] * 2 + [PIXELS] * 3 + [2 * PIXELS] * 3
    assert [int(label.float().mean()) for label in checkpoint(semi_task.folder)["labels"]] == [2, 2]


def test_a_resumed_run_goes_on_with_the_same_labels(
    semi_task: NetworkTask, watched: type[Watched], asked: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for step, times in ((4, 1), (5, 2)):
        interrupt(monkeypatch, step)
        with pytest.raises(KeyboardInterrupt):
            train(semi_task, EVERY_STEP)
        assert len(asked) == times
        assert [int(label.float().mean()) for label in checkpoint(semi_task.folder)["labels"]] == [1, 1]
    # The labels of step 5 were made and lost: it is made again, and labels the patients anew.
    monkeypatch.setattr(module, "train_step", train_step)
    train(semi_task, EVERY_STEP)
    assert len(asked) == 3
    assert watched.targets == [0, 0, *[PIXELS] * 4, 2 * PIXELS, *[3 * PIXELS] * 3]
    assert watched.shares == [0, 0, *[0.5] * 8]


def test_without_other_patients_nobody_is_labelled(
    cases: list[Case], semi: Config, tmp_path: Path, watched: type[Watched]
) -> None:
    train(new_task(semi, tmp_path, cases), OPTIONS)
    assert watched.shares == [0] * 8
    assert checkpoint(tmp_path)["labels"] == []


def test_labels_are_the_sharpened_probabilities(trained_run: Run, split: Split, unlabelled: list[Case]) -> None:
    network = load_ema_network(trained_run.network_folder(0), trained_run.identity(split, 0))
    with torch.no_grad():
        network.tumour.weight *= 300  # so that there are all probabilities
        network.tumour.bias.add_(4)  # type: ignore[union-attr]
    labels = label(network, unlabelled, CPU)
    for found, case in zip(labels, unlabelled, strict=True):
        p = infer(case.intensity, as_networks(network, BOTH, CPU))[0].astype(float)
        assert found.dtype == np.uint8
        np.testing.assert_allclose(found, 255 * p**2 / (p**2 + (1 - p) ** 2), atol=0.51)
        assert np.ptp(p) > 0.3
        # Sharper: a half stays a half, and the rest moves away from it.
        away = np.abs(p - 0.5) > 0.05
        assert (np.abs(found / 255 - 0.5) >= np.abs(p - 0.5))[away].all()
