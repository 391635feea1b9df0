"""`mipseg info`: the same as `describe_input`, as JSON and as lines."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from mipseg.io.describe import describe_input
from tests.cli.conftest import Command
from tests.io.pet_files import AFFINE, PHANTOM, make_slices, write_nifti, write_slices


def test_json_is_the_description(mipseg: Command, tmp_path: Path) -> None:
    folder = write_slices(tmp_path / "pet", make_slices())
    answer = mipseg("info", folder, "--json")
    assert (answer.code, answer.stderr) == (0, "")
    found = json.loads(answer.stdout)
    assert found == json.loads(json.dumps(asdict(describe_input(folder))))
    assert (found["modality"], found["suv"]["available"], found["suv"]["factor"]) == ("PT", True, 0.001)


def test_lines_say_why_there_is_no_suv(mipseg: Command, image: Path) -> None:
    answer = mipseg("info", image)
    assert answer.stdout == (
        "kind: image\nsize: 400 x 120\nsuv: none (a PNG or JPEG shows shares of a window, not SUV)\n"
    )


def test_unit_weight_and_dose_make_suv(mipseg: Command, tmp_path: Path) -> None:
    file = write_nifti(tmp_path / "bqml.nii", PHANTOM * np.float32(20), AFFINE)
    answer = mipseg("info", file, "--unit", "bqml", "--weight", "70", "--dose", "70e6", "--json")
    # 70,000 g / 70,000,000 Bq
    assert json.loads(answer.stdout)["suv"]["max"] == pytest.approx(PHANTOM.max() * 20 * 0.001)


def test_input_that_cannot_be_read(mipseg: Command, tmp_path: Path) -> None:
    answer = mipseg("info", tmp_path / "missing", "--json")
    assert (answer.code, answer.stdout) == (1, "")
    assert answer.stderr == f"error: can't read {tmp_path / 'missing'}: No such file or directory\n"
