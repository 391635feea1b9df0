"""Training tests need PyTorch (`uv sync --extra train`); without it they are skipped, and pytest says so."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from mipseg.io.dataset import Case
from mipseg.phantom import make_phantom
from mipseg.training import evaluate, model_selection
from mipseg.training.config import Config, Stage

ChangeAnswers: TypeAlias = Callable[[Callable[[str, npt.NDArray[np.float16]], npt.NDArray[np.float16]]], None]


@pytest.fixture(scope="session")
def cases() -> list[Case]:
    """Four patients and four controls, all phantoms of 128 x 128."""
    drawn = []
    for seed in range(8):
        phantom = make_phantom(seed, height=128, width=128, tumours=seed < 4)
        drawn.append(Case(f"{'patient' if seed < 4 else 'control'}_{seed:03}", phantom.mip, phantom.mask))
    return drawn


@pytest.fixture
def config() -> Config:
    """A schedule of a few seconds."""
    return Config(
        name="tiny",
        init_from="",
        ensemble=(),
        seed=3,
        pixel_unshuffle=4,
        channels=(8, 8, 8, 8, 8),
        atlas=False,
        learning_rate=3e-3,
        weight_decay=1e-2,
        warmup_steps=2,
        ema=0.9,
        patients=0.6,
        hard=0.5,
        window=0.4,
        compose_patients=0.5,
        compose_controls=0.5,
        cross_entropy=2.0,
        image_dice=0.5,
        refit_images=0,
        stages=(Stage(2, 4, 2), Stage(1, 4, 2)),
    )


@pytest.fixture
def empty_case() -> Case:
    """A white image."""
    return Case("control_900", np.full((96, 96), 255, np.uint8), np.zeros((96, 96), bool))


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """Where a run writes."""
    return tmp_path / "run"


@pytest.fixture
def answered(cases: list[Case], run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Answers of two folds: half of each tumour is found with certainty, the other half at 0.3."""
    folds = {case.id: number % 2 for number, case in enumerate(cases)}
    for module in (model_selection, evaluate):
        monkeypatch.setattr(module, "FOLDS", 2)
    monkeypatch.setattr(model_selection, "read_folds", lambda _: folds)
    for fold in range(2):
        answers = {}
        for case in cases:
            if folds[case.id] == fold:
                half = np.arange(case.mask.shape[1]) % 2 == 0
                answers[case.id] = np.where(case.mask, np.where(half, 0.99, 0.3), 0.001).astype(np.float16)
                answers[f"{case.id}/patient"] = np.float32(4 if case.has_tumour else -4)
        (run_folder / f"fold{fold}").mkdir(parents=True)
        np.savez_compressed(run_folder / f"fold{fold}/probabilities.npz", **answers)
    return run_folder


@pytest.fixture
def change_answers(answered: Path) -> ChangeAnswers:
    """A function that applies another function to every answer: case id and map -> new map."""

    def change(new: Callable[[str, npt.NDArray[np.float16]], npt.NDArray[np.float16]]) -> None:
        for file in answered.glob("fold*/probabilities.npz"):
            with np.load(file) as old:
                answers = {name: value if "/" in name else new(name, value) for name, value in old.items()}
            np.savez_compressed(file, **answers)

    return change
