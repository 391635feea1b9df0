import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from judge_running import SIZE
from PIL import Image
from structlog.testing import capture_logs

from mipjudge.service import Judge
from mipjudge.sets import PHANTOM_VERSION, Sets, build_sets
from mipjudge.settings import JudgeSettings
from mipseg.errors import DatasetError


def make(tmp_path: Path, data_dir: Path, **changes: Any) -> Sets:
    return build_sets(JudgeSettings(_env_file=None, dir=tmp_path / "judge", data_dir=data_dir, **changes))


def test_the_sets_are_disjoint_seeded_and_as_large_as_they_can_be(tmp_path: Path, data_dir: Path) -> None:
    sets = make(tmp_path, data_dir)
    assert (sets.source, len(sets.validation), len(sets.test)) == ("dataset", SIZE + 1, SIZE + 1)
    assert len({*sets.validation.names, *sets.test.names}) == 2 * SIZE + 2
    assert make(tmp_path, data_dir).validation.names == sets.validation.names
    assert make(tmp_path, data_dir).validation.fingerprint == sets.validation.fingerprint
    assert make(tmp_path, data_dir, seed=1).validation.names != sets.validation.names
    assert make(tmp_path, data_dir, seed=1).validation.fingerprint != sets.validation.fingerprint
    assert sets.validation.fingerprint != sets.test.fingerprint
    assert len(make(tmp_path, data_dir, set_size=5).test) == 5


@pytest.mark.parametrize(("changes", "warned"), [
    ({"host": "0.0.0.0"}, True), ({"host": "0.0.0.0", "seed": 1945}, False), ({}, False),
])  # fmt: skip
def test_a_judge_for_others_on_phantoms_that_anybody_can_draw_says_so(
    tmp_path: Path, changes: dict[str, Any], *, warned: bool
) -> None:
    with capture_logs() as logs:
        opened = Judge(JudgeSettings(_env_file=None, dir=tmp_path, data_dir=tmp_path, **changes)).open()
    opened.db.close()
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["known_seed"] * warned


@pytest.mark.parametrize("file", ["imgs/patient", "labels/segmentation"])
def test_another_image_or_mask_under_the_same_name_is_another_set(tmp_path: Path, data_dir: Path, file: str) -> None:
    root = tmp_path / "changed"
    shutil.copytree(data_dir, root)
    before = make(tmp_path, root)
    assert make(tmp_path, data_dir).collection == before.collection  # wherever it lies
    path = root / f"patients/{file}_{before.validation.names[0][-7:]}"
    Image.fromarray(np.asarray(Image.open(path))[::-1]).save(path)
    after = make(tmp_path, root)
    assert after.validation.names == before.validation.names
    assert after.validation.fingerprint != before.validation.fingerprint
    assert after.test.fingerprint == before.test.fingerprint
    assert after.collection != before.collection
    path.unlink()
    path.mkdir()
    with pytest.raises(DatasetError, match=path.name):
        make(tmp_path, root)


def test_controls_are_in_no_set(tmp_path: Path, data_dir: Path) -> None:
    root = tmp_path / "more"
    shutil.copytree(data_dir, root)
    shutil.copytree(root / "patients/imgs", root / "controls/imgs")
    sets = make(tmp_path, root)
    assert all("patient_" in name and "/controls/" not in name for name in sets.validation.names + sets.test.names)


def test_a_case_is_the_patients_image_and_mask(tmp_path: Path, data_dir: Path) -> None:
    validation = make(tmp_path, data_dir).validation
    case, (reference, image) = validation.case(0), validation.load(0)
    assert (case.image.shape, case.mask.shape) == ((90, 70), (90, 70))
    assert case.image.dtype == np.uint8
    assert case.mask.sum() == 240
    assert case.has_tumour
    with Image.open(io.BytesIO(image)) as sent:
        np.testing.assert_array_equal(np.asarray(sent), np.repeat(case.image[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(reference, case.mask)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1", "I;16"])
def test_every_image_goes_out_as_plain_rgb(tmp_path: Path, data_dir: Path, mode: str) -> None:
    root = tmp_path / "other"
    shutil.copytree(data_dir, root)
    validation = make(tmp_path, root).validation
    path = root / f"patients/imgs/patient_{validation.names[0][-7:]}"
    grey = np.where(np.asarray(Image.open(path)) < 180, 0, 255).astype(np.uint8)
    if mode == "I;16":
        Image.fromarray(grey.astype(np.uint16) * 257).save(path)
    else:
        Image.fromarray(grey).convert(mode).save(path)
    image = validation.load(0)[1]
    assert image[24:26] == b"\x08\x02"  # 8 bits, RGB
    with Image.open(io.BytesIO(image)) as sent:
        np.testing.assert_array_equal(np.asarray(sent), np.repeat(grey[:, :, None], 3, axis=2))
    assert (image == path.read_bytes()) is (mode == "RGB")


def test_a_patient_without_mask_is_named(tmp_path: Path, data_dir: Path) -> None:
    root = tmp_path / "broken"
    shutil.copytree(data_dir, root)
    (root / "patients/labels/segmentation_007.png").unlink()
    with pytest.raises(DatasetError, match="patient_007"):
        make(tmp_path, root)


@pytest.mark.parametrize(
    ("file", "pixels", "message"),
    [
        ("imgs/patient", None, "patient_0.* is not a readable PNG"),
        ("labels/segmentation", None, "segmentation_0.* is not a readable PNG"),
        ("labels/segmentation", np.full((90, 70), 7, np.uint8), "other than 0 and 255"),
        ("labels/segmentation", np.zeros((70, 90), np.uint8), r"\(70, 90\), but its image is \(90, 70\)"),
    ],
)
def test_a_damaged_case_is_named(
    tmp_path: Path, data_dir: Path, file: str, pixels: npt.NDArray[np.uint8] | None, message: str
) -> None:
    root = tmp_path / "broken"
    shutil.copytree(data_dir, root)
    validation = make(tmp_path, root).validation
    path = root / f"patients/{file}_{validation.names[0][-7:]}"
    if pixels is None:
        path.write_bytes(b"not an image")
    else:
        Image.fromarray(pixels).save(path)
    for read in (validation.load, validation.case):
        with pytest.raises(DatasetError, match=message):
            read(0)


def test_without_data_there_are_200_and_200_phantoms_drawn_when_needed(tmp_path: Path) -> None:
    sets = make(tmp_path, tmp_path / "none")
    assert (sets.source, len(sets.validation), len(sets.test)) == ("phantoms", 200, 200)
    assert not {*sets.validation.names} & {*sets.test.names}
    assert not (tmp_path / "judge").exists()
    first = sets.validation.case(0)
    assert first.mask.any()
    assert len(list((tmp_path / "judge/phantoms/1").iterdir())) == 2
    again = make(tmp_path, tmp_path / "none").validation.case(0)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.mask, again.mask)


def test_phantoms_that_are_drawn_otherwise_have_another_version(tmp_path: Path) -> None:
    """Where this fails since phantoms have changed, raise `PHANTOM_VERSION`, so that scores on both are kept apart."""
    cases = [make(tmp_path, tmp_path / "none").validation.case(position) for position in range(4)]
    drawn = [(case.image.shape[0], round(float(case.image.mean()), 2), int(case.mask.sum())) for case in cases]
    assert (PHANTOM_VERSION, drawn) == (
        1,
        [(489, 218.42, 977), (350, 223.7, 357), (489, 221.97, 851), (930, 230.97, 259)],
    )


def test_phantoms_of_another_version_are_drawn_anew_and_kept_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make(tmp_path, tmp_path / "none")
    before.validation.case(0)
    monkeypatch.setattr("mipjudge.sets.PHANTOM_VERSION", PHANTOM_VERSION + 1)
    after = make(tmp_path, tmp_path / "none")
    assert after.validation.names == before.validation.names
    assert {after.validation.fingerprint, after.test.fingerprint}.isdisjoint(
        {before.validation.fingerprint, before.test.fingerprint}
    )
    after.validation.case(0)
    assert len(list((tmp_path / f"judge/phantoms/{PHANTOM_VERSION + 1}").iterdir())) == 2
