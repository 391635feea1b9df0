"""`validate --save-images`: the files, the page, and the line on standard error."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from mipseg.io.mask_png import describe_mask_file, encode_png
from mipseg.report.figure import FALSE_POSITIVE, TRUE_POSITIVE, side_by_side
from tests.client.conftest import Command
from tests.client.judge import UUID, VALIDATE, VERIFY, StandIn
from tests.data_sets import squares, write_dataset
from tests.endpoints import Pixels, Reply, endpoint, hottest, masked
from tests.report.pages import read_page


@pytest.fixture(autouse=True)
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIPSEG_DATA_DIR", str(write_dataset(tmp_path / "data")))


def pixels(file: Path) -> Pixels:
    with PillowImage.open(file) as image:
        return np.asarray(image)


def test_files_page_and_submission(
    judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    with endpoint() as url:
        monkeypatch.setenv("TUMOR_SEGMENTATION_SERVICE_URL", url)
        result = run_validate("--save-images", str(folder))
    assert result.code == 0
    assert result.out.startswith(f"validation {UUID}: queued, position 0\n")
    # Two patients of Dice 1 and 2 x 16 / 48.
    assert result.err.startswith("asked from here: 4 images of the data set, mean Dice 0.8333, 0.")
    assert result.err.endswith(f"; look at {folder / 'index.html'}\n")
    assert judge.lines == [VALIDATE]
    names = [f"{case}_{kind}.png" for case in ("control_001", "control_002", "patient_001", "patient_002")
             for kind in ("answer", "sent", "side_by_side")]  # fmt: skip
    assert sorted(file.name for file in folder.iterdir()) == sorted(["index.html", *names])
    assert np.array_equal(
        pixels(folder / "patient_002_sent.png"), pixels(tmp_path / "data/patients/imgs/patient_002.png")
    )
    assert (pixels(folder / "patient_002_answer.png")[31, 1] == 255).all()
    beside = pixels(folder / "patient_002_side_by_side.png")
    assert beside.shape == (40, 4 * 40 + 3 * 4, 3)
    assert [tuple(beside[row, 3 * 44 + 1].tolist()) for row in (1, 31)] == [TRUE_POSITIVE, FALSE_POSITIVE]
    page = read_page((folder / "index.html").read_text())
    assert page.facts["Endpoint"] == f"{url}/predict"
    assert page.facts["Mean Dice"].startswith("0.833 ")
    (table,) = page.tables.values()
    assert [row[:2] + row[3:] for row in table[1:]] == [
        ["control_002", "0.000", "RGB", ""], ["patient_002", "0.667", "RGB", ""], ["control_001", "1.000", "RGB", ""],
        ["patient_001", "1.000", "RGB", ""],
    ]  # fmt: skip
    assert all((folder / target).is_file() for target in page.links.values())


def test_a_mask_in_the_alpha_is_shown_for_what_it_is(
    run_validate: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def in_alpha(image: Pixels) -> Reply:
        tumour = (image[:, :, 0] == 0).astype(np.uint8) * 255
        return masked(np.dstack([np.zeros((40, 40, 3), np.uint8), tumour]))

    with endpoint(in_alpha) as url:
        monkeypatch.setenv("TUMOR_SEGMENTATION_SERVICE_URL", url)
        result = run_validate("--save-images", str(tmp_path / "images"), "--json")
    assert result.object["uuid"] == UUID
    (table,) = read_page((tmp_path / "images/index.html").read_text()).tables.values()
    files = {row[0]: (row[1], row[3]) for row in table[1:]}
    assert files["patient_001"] == ("0.000", "RGBA, its alpha is dropped; by it the Dice would be 1.000")


def test_faults_are_on_the_page(run_validate: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fails_once(image: Pixels) -> Reply:
        return (503, b"") if (image == 0).sum() > 3 * 16 else hottest(image)

    with endpoint(fails_once) as url:
        monkeypatch.setenv("TUMOR_SEGMENTATION_SERVICE_URL", url)
        result = run_validate("--save-images", str(tmp_path / "images"))
    assert (result.code, ", 1 without a usable mask; look at" in result.err) == (0, True)
    (table,) = read_page((tmp_path / "images/index.html").read_text()).tables.values()
    assert [row[0] + ": " + row[4] for row in table if row[4]][1:] == ["patient_002: the answer's status is 503"]
    assert not (tmp_path / "images/patient_002_answer.png").exists()
    assert pixels(tmp_path / "images/patient_002_side_by_side.png").shape == (40, 2 * 40 + 4, 3)


def test_with_verify(judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with endpoint() as url:
        monkeypatch.setenv("TUMOR_SEGMENTATION_SERVICE_URL", url)
        result = run_validate("--verify", "--save-images", str(tmp_path / "images"))
    assert result.code == 0
    assert result.out.startswith(f"the judge got a prediction from {url}/predict: ")
    assert result.err.startswith("asked from here: ")
    assert judge.lines == [VERIFY]
    assert (tmp_path / "images/index.html").is_file()


def test_nobody_answers(judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with endpoint() as url:
        pass
    monkeypatch.setenv("TUMOR_SEGMENTATION_SERVICE_URL", url)
    result = run_validate("--save-images", str(tmp_path / "images"))
    message = f"error: nobody answers at {url}/predict, so nothing was saved or submitted\n"
    assert (result.code, result.out, result.err) == (2, "", message)
    assert judge.lines == []
    assert not (tmp_path / "images").exists()


def test_a_folder_that_cannot_be_made(run_validate: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with endpoint() as url:
        monkeypatch.setenv("TUMOR_SEGMENTATION_SERVICE_URL", url)
        result = run_validate("--save-images", str(tmp_path / "file"))
    assert (result.code, result.err) == (2, f"error: can't write {tmp_path / 'file'}: File exists\n")


def test_it_does_not_go_with_cancel(run_validate: Command) -> None:
    result = run_validate("--cancel", UUID, "--save-images", "x")
    assert result.code == 2
    assert "--save-images does not go with --cancel" in result.err


@pytest.mark.parametrize(("mask", "wanted"), [
    (squares((0, 0, 4)).astype(np.uint8) * 255, "L"),
    (squares((0, 0, 4)).astype(np.uint8) * 200, "L, 1.0% of its pixels are grey; cut at half the Dice would be 1.000"),
    (np.dstack([squares((0, 0, 4)).astype(np.uint8) * 255, np.full((40, 40), 255, np.uint8)]), "LA"),
    (np.zeros((10, 10, 4), np.uint8) + np.tri(10, dtype=np.uint8)[:, :, None],
     "RGBA, its alpha is dropped; by it its size would be wrong, 55.0% of its pixels are grey; "
     "cut at half its size would be wrong"),
])  # fmt: skip
def test_kinds_of_files(mask: Pixels, wanted: str) -> None:
    assert describe_mask_file(encode_png(mask), squares((0, 0, 4))) == wanted


def test_what_is_no_png() -> None:
    assert describe_mask_file(b"GIF89a", squares()) == "not a PNG that can be read"


def test_side_by_side_without_a_prediction() -> None:
    image = np.full((40, 40), 200, np.uint8)
    beside = side_by_side(image, squares((0, 0, 4)), None)
    assert beside.shape == (40, 84, 3)
    assert [beside[0, column].tolist() for column in (0, 44, 83)] == [[200] * 3, [0] * 3, [255] * 3]
