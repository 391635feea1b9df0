"""Training tests need PyTorch (`uv sync --extra train`); without it they are skipped, and pytest says so."""

from pathlib import Path

import numpy as np
import pytest

from mipseg.dataset import Case
from mipseg.phantom import make_phantom
from mipseg.training.config import Config, Stage


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
        seed=3,
        channels=(8, 8, 8, 8, 8),
        learning_rate=3e-3,
        weight_decay=1e-2,
        warmup_steps=2,
        ema=0.9,
        patients=0.6,
        compose_patients=0.5,
        compose_controls=0.5,
        final_factor=1.5,
        stages=(Stage(2, 4, 2), Stage(1, 4, 2)),
    )


@pytest.fixture
def empty_case() -> Case:
    """A white picture."""
    return Case("control_900", np.full((96, 96), 255, np.uint8), np.zeros((96, 96), bool))


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """Where a run writes."""
    return tmp_path / "run"
