"""`mipseg evaluate`: numbers that can be worked out by hand."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from mipseg.io.write import write_png
from tests.cli.conftest import Command
from tests.io.pet_files import write_nifti


def _mask(*boxes: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """40 x 40 pixels; squares with this first row, first column and side."""
    mask = np.zeros((40, 40), np.uint8)
    for row, column, side in boxes:
        mask[row : row + side, column : column + side] = 255
    return mask


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three cases: Dice 1; Dice 0.5 with a lesion missed and one too many; a control with a false lesion."""
    masks = {
        "a_01": (_mask((0, 0, 4)), _mask((0, 0, 4))),
        "b_02": (_mask((0, 0, 4), (20, 20, 4)), _mask((0, 0, 4), (30, 0, 4))),
        "c_03": (_mask(), _mask((5, 5, 2))),
        "d_04": (_mask(), _mask()),
    }
    reference, prediction = tmp_path / "reference", tmp_path / "prediction"
    for folder in (reference, prediction):
        folder.mkdir()
    for name, (true, found) in masks.items():
        write_png(reference / f"{name}.png", true)
        write_png(prediction / f"{name}.png", found)
    return reference, prediction


def test_dice_lesions_and_controls(mipseg: Command, folders: tuple[Path, Path]) -> None:
    answer = mipseg("evaluate", *folders, "--json")
    assert (answer.code, answer.stderr) == (0, "")
    found = json.loads(answer.stdout)
    assert found["scores"] == {"a_01": 1, "b_02": 0.5, "c_03": 0, "d_04": 1}
    # Of two cases the bootstrap's means are 0.5, 0.75 and 1, each end with a chance of 1/4.
    assert found["dice"] == {"mean": 0.75, "low": 0.5, "high": 1.0, "cases": 2}
    assert (found["controls"], found["clean_controls"]) == (2, 1)
    assert [tuple(row.values()) for row in found["lesions"]] == [
        ("0-10 px", 0, 0, 1, 0),
        ("10-35 px", 3, 2, 3, 2),
        ("35-100 px", 0, 0, 0, 0),
        ("from 100 px", 0, 0, 0, 0),
    ]


def test_lines(mipseg: Command, folders: tuple[Path, Path]) -> None:
    lines = mipseg("evaluate", *folders).stdout.splitlines()
    assert lines[:2] == ["Dice: 0.7500 (95 % interval 0.500 to 1.000), 2 cases", "clean controls: 1 of 2"]


def test_numbers_pair_files_of_other_names(mipseg: Command, folders: tuple[Path, Path]) -> None:
    reference, prediction = folders
    for file in list(prediction.iterdir()):
        file.rename(prediction / f"patient_{file.stem[-1]}.png")
    found = json.loads(mipseg("evaluate", reference, prediction, "--json").stdout)
    assert found["scores"] == {"a_01": 1, "b_02": 0.5, "c_03": 0, "d_04": 1}


def test_results_of_segment(mipseg: Command, image: Path, tmp_path: Path) -> None:
    mipseg("segment", image, "-o", tmp_path / "out")
    reference = np.zeros((120, 400), np.uint8)
    reference[40:45, 160:166] = 255  # of 30 pixels, 20 are found
    (tmp_path / "reference").mkdir()
    write_png(tmp_path / "reference" / "segmentation_007.png", reference)
    found = json.loads(mipseg("evaluate", tmp_path / "reference", tmp_path / "out", "--json").stdout)
    assert found["scores"] == {"segmentation_007": 2 * 20 / 50}
    assert found["dice"] == {"mean": 0.8, "low": None, "high": None, "cases": 1}


def test_volumes_have_sizes_in_ml(mipseg: Command, tmp_path: Path) -> None:
    true = np.zeros((10, 10, 10), np.uint8)
    true[:5, :5, :5] = 1  # 125 voxels of 10 mm: 125 ml
    affine = np.diag([10.0, 10, 10, 1])
    reference, prediction = write_nifti(tmp_path / "r.nii", true, affine), write_nifti(tmp_path / "p.nii", true, affine)
    found = json.loads(mipseg("evaluate", reference, prediction, "--json").stdout)
    assert found["scores"] == {"mask": 1}
    assert tuple(found["lesions"][3].values()) == ("from 20 ml", 1, 1, 1, 1)


def test_masks_at_different_places_are_not_compared(mipseg: Command, tmp_path: Path) -> None:
    mask, affine = np.ones((4, 4, 4), np.uint8), np.diag([1.0, 1, 1, 1])
    reference = write_nifti(tmp_path / "r.nii", mask, affine)
    affine[0, 3] = 1
    answer = mipseg("evaluate", reference, write_nifti(tmp_path / "p.nii", mask, affine))
    assert answer.code == 1
    assert "failed: mask: reference and prediction lie at different places" in answer.stderr


def test_missing_prediction_is_named(mipseg: Command, folders: tuple[Path, Path]) -> None:
    (folders[1] / "a_01.png").unlink()
    answer = mipseg("evaluate", *folders, "--json")
    assert answer.code == 1
    assert answer.stderr == "failed: a_01: there is no prediction\nerror: 1 of 4 cases failed\n"
    assert json.loads(answer.stdout)["scores"] == {"b_02": 0.5, "c_03": 0, "d_04": 1}


def test_nothing_to_compare(mipseg: Command, tmp_path: Path) -> None:
    answer = mipseg("evaluate", tmp_path, tmp_path)
    assert answer.code == 2
    assert answer.stderr == f"error: {tmp_path} holds no PNG or NIfTI mask; masks of one kind are needed\n"


def test_lesion_at_the_edge_of_two_sizes_is_of_the_larger(mipseg: Command, tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", _mask((0, 0, 10)))
    found = json.loads(mipseg("evaluate", tmp_path / "a.png", tmp_path / "a.png", "--json").stdout)
    assert [row["reference"] for row in found["lesions"]] == [0, 0, 0, 1]
