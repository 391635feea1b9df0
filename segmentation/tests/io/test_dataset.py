from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mipseg.errors import DatasetError
from mipseg.io import dataset
from mipseg.io.dataset import find_dataset, install, installed_dataset, load_dataset, read_image, sample_case
from mipseg.settings import Settings


def save(array: np.ndarray, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(file)


def grey_image() -> np.ndarray:
    """A body of 10 x 10 pixels in white air."""
    image = np.full((30, 40), 255, np.uint8)
    image[10:20, 10:20] = np.arange(3, 13)
    return image


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A little data set, deep in a folder as in the organisers' repository."""
    root = tmp_path / "repository/tumor-segmentation/data"
    image = grey_image()
    save(np.dstack([image] * 3 + [np.full_like(image, 255)]), root / "patients/imgs/patient_007.png")
    save(np.where(image < 255, 255, 0).astype(np.uint8), root / "patients/labels/segmentation_007.png")
    save(image, root / "controls/imgs/control_003.png")
    return root


def test_reads_patients_with_masks_and_controls_without(source: Path) -> None:
    patient, control = load_dataset(source)
    assert (patient.id, patient.has_tumour, int(patient.mask.sum())) == ("patient_007", True, 100)
    np.testing.assert_array_equal(patient.image, grey_image())
    assert (control.id, control.has_tumour, int(control.mask.sum())) == ("control_003", False, 0)


def test_cases_come_in_the_order_of_their_names(source: Path) -> None:
    for number in ("009", "001"):
        for name in (f"patients/imgs/patient_{number}", f"controls/imgs/control_{number}"):
            save(grey_image(), source / f"{name}.png")
        save(np.zeros((30, 40), np.uint8), source / f"patients/labels/segmentation_{number}.png")
    names = [case.id for case in load_dataset(source)]
    assert names == [
        f"{kind}_{n}" for kind, middle in (("patient", "007"), ("control", "003")) for n in ("001", middle, "009")
    ]


def test_install_copies_a_sound_data_set(source: Path, tmp_path: Path) -> None:
    cases = install(tmp_path / "repository", tmp_path / "here")
    assert [case.id for case in load_dataset(tmp_path / "here")] == [case.id for case in cases]


def break_values(source: Path) -> None:
    save(np.full((30, 40), 7, np.uint8), source / "patients/labels/segmentation_007.png")


def break_shape(source: Path) -> None:
    save(np.zeros((3, 4), np.uint8), source / "patients/labels/segmentation_007.png")


def break_file(source: Path) -> None:
    (source / "controls/imgs/control_003.png").write_bytes(b"not an image")


def invert(source: Path) -> None:
    save(255 - grey_image(), source / "controls/imgs/control_003.png")


def blank(source: Path) -> None:
    save(np.full((30, 40), 255, np.uint8), source / "controls/imgs/control_003.png")


def colour(source: Path) -> None:
    image = np.dstack([grey_image()] * 3)
    image[12, 12:18] = 255, 0, 0
    save(image, source / "controls/imgs/control_003.png")


def lose_mask(source: Path) -> None:
    (source / "patients/labels/segmentation_007.png").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_values, "other than 0 and 255"),
        (break_shape, "but its image is"),
        (break_file, "not a readable PNG"),
        (lose_mask, "has no mask"),
        (invert, r"control_003\.png has no white air"),
        (blank, r"control_003\.png shows no body"),
        (colour, r"control_003\.png: img is coloured"),
    ],
)
def test_damaged_data_set_is_named_and_not_copied(
    source: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(source)
    with pytest.raises(DatasetError, match=message):
        install(source, tmp_path / "here")
    assert not (tmp_path / "here").exists()


def transparent(shade: int, shown: np.ndarray) -> np.ndarray:
    """An image whose air is transparent, and of a shade that nobody sees."""
    return np.dstack([np.where(shown == 255, shade, shown)] * 3 + [np.where(shown == 255, 0, 255)]).astype(np.uint8)


@pytest.mark.parametrize(
    "array",
    [
        grey_image().astype(np.uint16) * 257,
        grey_image().astype(np.uint16) * 16 + 15,  # 12 bits of 16
        transparent(0, grey_image()),
        np.dstack([grey_image(), np.full((30, 40), 255, np.uint8)]),
    ],
    ids=["16 bits", "12 bits", "transparent air", "grey with alpha"],
)
def test_other_kinds_of_png_show_the_same_image(array: np.ndarray, tmp_path: Path) -> None:
    save(array, tmp_path / "image.png")
    np.testing.assert_array_equal(read_image(tmp_path / "image.png"), grey_image())


def test_values_that_end_below_white_have_no_white_air(tmp_path: Path) -> None:
    save((grey_image() / 255 * 40_000).astype(np.uint16), tmp_path / "image.png")
    with pytest.raises(DatasetError, match=r"image\.png has no white air"):
        read_image(tmp_path / "image.png")


@pytest.mark.parametrize("shape", [(1, 10_001), (5_000, 5_001)])
def test_an_image_that_the_service_takes_for_too_large_is_an_error(shape: tuple[int, int], tmp_path: Path) -> None:
    save(np.zeros(shape, np.uint8), tmp_path / "image.png")
    with pytest.raises(DatasetError, match=r"image\.png is not a readable PNG: img is larger"):
        read_image(tmp_path / "image.png")


def test_missing_data_set_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="make data FROM="):
        load_dataset(tmp_path)
    with pytest.raises(DatasetError, match="no patients/imgs"):
        find_dataset(tmp_path)


@pytest.mark.parametrize("above", [".", "..", "../..", "../../.."])
def test_the_folder_above_the_data_works_as_in_make_data(source: Path, above: str) -> None:
    assert [case.id for case in load_dataset(source / above)] == ["patient_007", "control_003"]
    assert installed_dataset(Settings(data_dir=source / above)) == source / above / source.relative_to(
        (source / above).resolve()
    )


def test_a_search_does_not_walk_a_whole_disk(source: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "repository").rename(tmp_path / "home/repository")  # four folders below where the search begins
    with pytest.raises(DatasetError, match="no patients/imgs"):
        find_dataset(tmp_path)


def test_a_data_set_that_is_put_in_place_appears_whole(source: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    seen: list[list[str]] = []

    def look(source: Path, target: Path) -> None:
        replace(source, target)
        seen.append(sorted(path.name for path in here.glob("*/imgs/*.png")))

    replace = dataset._replace
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "_replace", look)
        install(source, here)
    assert seen == [["control_003.png"], ["control_003.png", "patient_007.png"]]
    for old in ("patients/imgs/patient_999.png", "patients/labels/segmentation_999.png"):
        save(np.zeros((3, 4), np.uint8), here / old)
    install(source, here)  # an older copy is replaced
    assert [case.id for case in load_dataset(here)] == ["patient_007", "control_003"]
    assert sorted(path.name for path in here.iterdir()) == ["controls", "patients"]
    install(here, here)  # onto itself: nothing is lost
    assert [case.id for case in load_dataset(here)] == ["patient_007", "control_003"]


def test_sample_is_the_first_patient_else_a_phantom(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sample_case(Settings(data_dir=source)).id == "patient_007"
    monkeypatch.delenv("MIPSEG_DATA_DIR", raising=False)
    monkeypatch.setattr("mipseg.settings.project_root", lambda: tmp_path / "nothing")
    phantom = sample_case(Settings(_env_file=None))
    assert phantom.id == f"phantom_{dataset.SAMPLE_PHANTOM}"
    assert phantom.mask.any()
    monkeypatch.setenv("MIPSEG_DATA_DIR", str(tmp_path / "wrong"))  # never a phantom in silence
    with pytest.raises(
        DatasetError, match=r"^MIPSEG_DATA_DIR: no patients/imgs and patients/labels in or below .*wrong"
    ):
        sample_case(Settings())


def test_command_line_reports_or_fails(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIPSEG_DATA_DIR", str(tmp_path / "here"))
    monkeypatch.setattr("sys.argv", ["dataset", str(source)])
    dataset.main()
    assert "1 patients and 1 controls, 30 to 30 px high" in capsys.readouterr().out
    lose_mask(source)
    with pytest.raises(SystemExit, match=r"^error: .* has no mask"):
        dataset.main()
