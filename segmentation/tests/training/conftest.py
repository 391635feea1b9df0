"""Training tests need PyTorch (`uv sync --extra train`); without it they are skipped, and pytest says so."""

from pathlib import Path

import numpy as np
import pytest

from mipseg.io.dataset import Case
from mipseg.phantom import make_phantom
from mipseg.training.config import Config
from mipseg.training.runs import Run
from mipseg.training.split import Split


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tiny networks wait for threads longer than they compute."""
    try:
        import torch  # noqa: PLC0415
    except ImportError:
        return
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def cases() -> list[Case]:
    """Four patients and four controls, all phantoms of 128 x 128."""
    drawn = []
    for seed in range(8):
        phantom = make_phantom(seed, height=128, width=128, tumours=seed < 4)
        drawn.append(Case(f"{'patient' if seed < 4 else 'control'}_{seed:03}", phantom.mip, phantom.mask))
    return drawn


@pytest.fixture(scope="session")
def split(cases: list[Case]) -> Split:
    """Two folds, each of two patients and two controls."""
    return Split(cases, {case.id: number % 2 for number, case in enumerate(cases)})


@pytest.fixture(scope="session")
def unlabelled(cases: list[Case]) -> list[Case]:
    """Two patients whose masks nobody drew."""
    drawn = [make_phantom(seed, height=128, width=128).mip for seed in (20, 21)]
    return [Case(f"unlabelled_{number}", image, np.zeros(image.shape, bool)) for number, image in enumerate(drawn)]


@pytest.fixture(scope="session")
def config() -> Config:
    """A schedule of a few seconds."""
    return Config(
        name="tiny",
        seed=3,
        pixel_unshuffle=4,
        channels=(8, 8, 8, 8, 8),
        images=8,
        batch=2,
        learning_rate=3e-3,
        warmup_steps=2,
        ema_decay=0.9,
        unlabelled_fraction=0.0,
        window_jitter=0.4,
        compose_patients=0.5,
        compose_controls=0.5,
        cross_entropy=2.0,
    )


@pytest.fixture(scope="session")
def trained_run(config: Config, split: Split, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Both folds of the tiny run, trained and predicted. Shared: copy its folder before changing it."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")
    from mipseg.training.fold import train_network  # noqa: PLC0415
    from mipseg.training.train import Options  # noqa: PLC0415

    run = Run(config, tmp_path_factory.mktemp("runs") / config.name)
    for fold in range(2):
        train_network(run, fold, split, Options(torch.device("cpu")))
    return run


@pytest.fixture
def empty_case() -> Case:
    """A white image."""
    return Case("control_900", np.full((96, 96), 255, np.uint8), np.zeros((96, 96), bool))


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """Where a run writes."""
    return tmp_path / "run"
