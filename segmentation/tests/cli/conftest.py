"""The command in this process, with a model that answers at once."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mipseg.cli.main import app
from mipseg.io.write import write_png
from tests.cli.stub import HotSpots
from tests.data_sets import write_dataset
from tests.io.pet_files import write_nifti
from tests.volumes import ball


@dataclass(frozen=True)
class Answer:
    """What a command said: exit code, JSON lines of standard output, standard error."""

    code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stdout.splitlines()]


Command = Callable[..., Answer]


@pytest.fixture
def mipseg(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `mipseg` with these arguments and the stub for its model."""
    for module in ("mipseg.engines.plan", "mipseg.engines.segment_case"):
        monkeypatch.setattr(f"{module}.load_segmenter", lambda _: HotSpots())

    def run(*arguments: object) -> Answer:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A PNG of 120 x 400 pixels, grey, with a hot square of 5 x 4."""
    pixels = np.full((120, 400), 255, np.uint8)
    pixels[20:100, 150:250] = 200
    pixels[40:45, 160:164] = 0
    write_png(tmp_path / "patient_7.png", pixels)
    return tmp_path / "patient_7.png"


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A NIfTI in SUV: 0.9 to 1.1, a ball of SUV 10 and radius 12 mm; voxels of 4 mm."""
    voxels = np.linspace(0.9, 1.1, 40**3, dtype=np.float32).reshape(40, 40, 40)
    voxels[ball((40, 40, 40), (25, 20, 12), 12.0)] = 10
    return write_nifti(tmp_path / "ball.nii.gz", voxels, np.diag([4.0, 4, 4, 1])[[2, 1, 0, 3]])


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data")
