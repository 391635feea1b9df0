"""`mipseg evaluate`: numbers that can be worked out by hand."""

import json
import shutil
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as PillowImage

from mipseg.io.write import write_png
from tests.cli.conftest import Command
from tests.endpoints import endpoint
from tests.io.pet_files import AFFINE, PHANTOM, orientations, turned, write_nifti
from tests.report.pages import read_page


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
    assert (found["controls"], found["clean_controls"], found["empty_controls"]) == (2, 2, 1)
    assert [tuple(row.values()) for row in found["lesions"]] == [
        ("1-9 px", 0, 0, 1, 0),
        ("10-49 px", 3, 2, 3, 2),
        ("50-249 px", 0, 0, 0, 0),
        ("from 250 px", 0, 0, 0, 0),
    ]


def test_lines(mipseg: Command, folders: tuple[Path, Path]) -> None:
    lines = mipseg("evaluate", *folders).stdout.splitlines()
    assert lines[:2] == [
        "Dice: 0.7500 (95 % interval 0.500 to 1.000), 2 cases",
        "clean controls (no false lesion of 20 px or more): 2 of 2, with an empty mask: 1",
    ]


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


def test_the_same_grid_may_have_its_axes_in_another_order(mipseg: Command, tmp_path: Path) -> None:
    reference = write_nifti(tmp_path / "r.nii", (PHANTOM > 150).astype(np.uint8), AFFINE)  # of 1 to 210
    for axes, flips in orientations():
        array, affine = turned(axes, flips)
        prediction = write_nifti(tmp_path / "p.nii", (array > 160).astype(np.uint8), affine)
        found = json.loads(mipseg("evaluate", reference, prediction, "--json").stdout)
        assert found["scores"] == {"mask": pytest.approx(2 * 50 / (60 + 50))}


def test_masks_at_different_places_are_not_compared(mipseg: Command, tmp_path: Path) -> None:
    mask, affine = np.ones((4, 4, 4), np.uint8), np.diag([1.0, 1, 1, 1])
    reference = write_nifti(tmp_path / "r.nii", mask, affine)
    affine[0, 3] = 1
    answer = mipseg("evaluate", reference, write_nifti(tmp_path / "p.nii", mask, affine))
    assert answer.code == 2
    assert "failed: mask: reference and prediction lie at different places" in answer.stderr


def test_masks_turned_against_each_other_are_not_compared(mipseg: Command, tmp_path: Path) -> None:
    mask, affine = np.ones((4, 4, 400), np.uint8), np.diag([1.0, 1, 1, 1])
    reference = write_nifti(tmp_path / "r.nii", mask, affine)
    affine[0, 2], affine[2, 0] = 0.09, -0.09  # no entry by more than 0.1, the last slice by 36 mm
    answer = mipseg("evaluate", reference, write_nifti(tmp_path / "p.nii", mask, affine))
    assert answer.code == 2
    assert "failed: mask: reference and prediction lie at different places" in answer.stderr


def _written(file: Path, values: npt.NDArray[np.uint8]) -> Path:
    """The values as PNG or as NIfTI of 4 slices, by the file's name."""
    file.parent.mkdir(exist_ok=True)
    if file.suffix == ".png":
        write_png(file, values)
        return file
    return write_nifti(file, np.stack([values] * 4))


@pytest.mark.parametrize("name", ["a.png", "a.nii"])
@pytest.mark.parametrize("tumour", [1, 2, 255])
def test_a_mask_may_have_any_value_above_0(mipseg: Command, tmp_path: Path, name: str, tumour: int) -> None:
    truth = _mask((0, 0, 4), (20, 20, 4))
    reference = _written(tmp_path / "reference" / name, truth)
    found = _written(tmp_path / "prediction" / name, np.where(truth & (np.arange(40) < 10), tumour, 0).astype(np.uint8))
    answer = mipseg("evaluate", reference, found, "--json")
    assert (answer.code, answer.stderr) == (0, "")
    assert list(json.loads(answer.stdout)["scores"].values()) == [pytest.approx(2 / 3)]


@pytest.mark.parametrize("name", ["a.png", "a.nii"])
def test_what_is_no_mask_is_named(mipseg: Command, tmp_path: Path, name: str) -> None:
    mask = _mask((0, 0, 4))
    reference = _written(tmp_path / "reference" / name, mask)
    labels = _written(tmp_path / "labels" / name, mask + _mask((9, 9, 4)) // 2)
    answer = mipseg("evaluate", reference, labels)
    assert answer.code == 2
    assert f"{labels} has 3 values, such as 0, 127, 255; a mask has 0 and one above it" in answer.stderr


def test_a_mask_with_alpha_is_named(mipseg: Command, tmp_path: Path) -> None:
    mask = _mask((0, 0, 4))
    write_png(tmp_path / "a.png", mask)
    PillowImage.fromarray(np.dstack([mask * 0, mask]), "LA").save(tmp_path / "b.png")
    answer = mipseg("evaluate", tmp_path / "a.png", tmp_path / "b.png", "--html", tmp_path / "page.html")
    said = "b.png is transparent in a part, which a mask must not be; save it without transparency"
    assert (answer.code, answer.stdout, (tmp_path / "page.html").exists()) == (2, "", False)
    assert answer.stderr == f"failed: mask: {tmp_path / said}\nerror: none of 1 cases could be compared\n"


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_an_alpha_that_is_the_same_everywhere_changes_nothing(mipseg: Command, tmp_path: Path, mode: str) -> None:
    """The championship's labels have one."""
    mask = _mask((0, 0, 4))
    write_png(tmp_path / "a.png", mask)
    PillowImage.fromarray(mask).convert(mode).save(tmp_path / "b.png")
    answer = mipseg("evaluate", tmp_path / "b.png", tmp_path / "a.png", "--json")
    assert (answer.code, json.loads(answer.stdout)["scores"]) == (0, {"mask": 1})


def test_no_dice_without_a_patient(mipseg: Command, tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", _mask())
    answer = mipseg("evaluate", tmp_path / "a.png", tmp_path / "a.png")
    assert (answer.code, answer.stdout.splitlines()[0]) == (0, "Dice: none (no case that was compared has tumour)")


def test_16_bits_of_which_one_is_used(mipseg: Command, tmp_path: Path) -> None:
    mask = _mask((0, 0, 4))
    write_png(tmp_path / "a.png", mask)
    PillowImage.fromarray((mask // 255).astype(np.uint16)).save(tmp_path / "b.png")
    answer = mipseg("evaluate", tmp_path / "a.png", tmp_path / "b.png", "--json")
    assert json.loads(answer.stdout)["scores"] == {"mask": 1}


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
    write_png(tmp_path / "a.png", _mask((0, 0, 7), (7, 7, 1)))  # 50 px
    found = json.loads(mipseg("evaluate", tmp_path / "a.png", tmp_path / "a.png", "--json").stdout)
    assert [row["reference"] for row in found["lesions"]] == [0, 0, 1, 0]


def test_data_set_and_masks_by_case(mipseg: Command, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    for name in ("patient_001", "patient_002", "control_001"):
        write_png(tmp_path / "masks" / f"{name}.png", _mask((0, 0, 4)))
    answer = mipseg("evaluate", dataset, tmp_path / "masks", "--json")
    assert answer.stderr.startswith("failed: control_002: there is no prediction\n")
    assert json.loads(answer.stdout)["scores"] == {"control_001": 0, "patient_001": 1, "patient_002": 1}


def test_compared_with_a_folder_and_with_an_endpoint(
    mipseg: Command, folders: tuple[Path, Path], dataset: Path, tmp_path: Path
) -> None:
    reference, prediction = folders
    found = json.loads(mipseg("evaluate", *folders, "--compare", reference, "--json").stdout)["comparison"]
    assert found == {
        "difference": {"mean": -0.25, "low": -0.5, "high": 0.0, "cases": 2},
        "wins": 0, "losses": 1, "ties": 1, "controls": 2, "clean": 2, "clean_other": 2, "failed": {},
    }  # fmt: skip
    lines = mipseg("evaluate", reference, reference, "--compare", prediction).stdout.splitlines()
    assert lines[2:5] == [
        "Dice minus the other's: +0.2500 (95 % interval +0.000 to +0.500), 2 cases",
        "better: 1, worse: 0, the same: 1",
        "clean controls (no false lesion of 20 px or more): 2, the other's: 2, of 2",
    ]
    labels = dataset / "patients/labels"
    with endpoint() as url:
        answer = mipseg("evaluate", labels, labels, "--compare", url, "--images", dataset / "patients/imgs", "--json")
    assert json.loads(answer.stdout)["comparison"]["difference"]["mean"] == pytest.approx((0 + 1 / 3) / 2)


def test_what_the_other_lacks_is_named(mipseg: Command, folders: tuple[Path, Path], tmp_path: Path) -> None:
    reference, _ = folders
    first, *others = sorted(reference.iterdir())
    (tmp_path / "other").mkdir()
    shutil.copy(first, tmp_path / "other")
    answer = mipseg("evaluate", reference, reference, "--compare", tmp_path / "other", "--json")
    assert answer.code == 1
    lines = [f"failed in the other: {file.stem}: there is no prediction" for file in others]
    assert answer.stderr.splitlines() == [*lines, f"error: {len(others)} of {len(others) + 1} cases failed"]
    found = json.loads(answer.stdout)
    assert found["comparison"]["failed"] == {file.stem: "there is no prediction" for file in others}
    assert found["failed"] == {}


def test_results_of_segment_bring_probability_and_image(mipseg: Command, image: Path, tmp_path: Path) -> None:
    mipseg("segment", image, "-o", tmp_path / "out")
    (tmp_path / "reference").mkdir()
    write_png(tmp_path / "reference" / "7.png", np.zeros((120, 400), np.uint8))
    answer = mipseg("evaluate", tmp_path / "reference", tmp_path / "out", "--json", "--html", tmp_path / "page.html")
    assert json.loads(answer.stdout)["calibration"] == [{"predicted": 1.0, "observed": 0.0, "cases": 1}]
    (shown,) = [
        a["src"] for tag, a in read_page((tmp_path / "page.html").read_text()).tags if a.get("alt") == "Image of 7"
    ]
    with PillowImage.open(BytesIO(b64decode(shown.partition(",")[2]))) as picture:
        assert picture.getextrema() == (0, 255)  # not white: mip.png, which lies beside the mask


@pytest.mark.parametrize(("arguments", "problem"), [
    ((), "give either a PREDICTION or --endpoint URL"),
    (("x", "--endpoint", "http://127.0.0.1"), "give either a PREDICTION or --endpoint URL"),
    (("x", "--timings"), "--timings goes with --endpoint"),
])  # fmt: skip
def test_wrong_use(mipseg: Command, tmp_path: Path, arguments: tuple[str, ...], problem: str) -> None:
    answer = mipseg("evaluate", tmp_path, *arguments)
    assert (answer.code, answer.stderr) == (2, f"error: {problem}\n")


def test_a_page_that_cannot_be_written(mipseg: Command, folders: tuple[Path, Path], tmp_path: Path) -> None:
    answer = mipseg("evaluate", *folders, "--html", tmp_path / "none" / "page.html")
    assert answer.code == 2
    assert answer.stderr.startswith("error: can't write ")
    assert answer.stderr.endswith("No such file or directory\n")
