import shutil

import numpy as np
import pytest

from mipjudge.sets import build_sets
from mipjudge.settings import JudgeSettings
from mipseg.errors import DatasetError


def make(tmp_path, data_dir, **changes):
    return build_sets(JudgeSettings(_env_file=None, dir=tmp_path / "judge", data_dir=data_dir, **changes))


def test_the_sets_are_disjoint_seeded_and_as_large_as_they_can_be(tmp_path, data_dir):
    sets = make(tmp_path, data_dir)
    assert (sets.source, len(sets.validation), len(sets.test)) == ("dataset", 21, 21)
    assert len({*sets.validation.names, *sets.test.names}) == 42
    assert make(tmp_path, data_dir).validation.names == sets.validation.names
    assert make(tmp_path, data_dir).validation.fingerprint == sets.validation.fingerprint
    assert make(tmp_path, data_dir, seed=1).validation.names != sets.validation.names
    assert make(tmp_path, data_dir, seed=1).validation.fingerprint != sets.validation.fingerprint
    assert sets.validation.fingerprint != sets.test.fingerprint
    assert len(make(tmp_path, data_dir, set_size=5).test) == 5


def test_controls_are_in_no_set(tmp_path, data_dir):
    root = tmp_path / "more"
    shutil.copytree(data_dir, root)
    shutil.copytree(root / "patients/imgs", root / "controls/imgs")
    sets = make(tmp_path, root)
    assert all("patient_" in name and "/controls/" not in name for name in sets.validation.names + sets.test.names)


def test_a_case_is_the_patients_picture_and_mask(tmp_path, data_dir):
    case, picture = make(tmp_path, data_dir).validation.load(0)
    assert (case.image.shape, case.image.dtype, case.mask.shape) == ((90, 70), np.uint8, (90, 70))
    assert case.mask.sum() == 240
    assert case.is_patient
    assert picture == (data_dir / f"patients/imgs/{case.id}.png").read_bytes()


def test_a_patient_without_mask_is_named(tmp_path, data_dir):
    root = tmp_path / "broken"
    shutil.copytree(data_dir, root)
    (root / "patients/labels/segmentation_007.png").unlink()
    with pytest.raises(DatasetError, match="patient_007"):
        make(tmp_path, root)


def test_without_data_there_are_200_and_200_phantoms_drawn_when_needed(tmp_path):
    sets = make(tmp_path, tmp_path / "none")
    assert (sets.source, len(sets.validation), len(sets.test)) == ("phantoms", 200, 200)
    assert not {*sets.validation.names} & {*sets.test.names}
    assert not (tmp_path / "judge").exists()
    first, _ = sets.validation.load(0)
    assert first.mask.any()
    assert len(list((tmp_path / "judge/phantoms").iterdir())) == 2
    again, _ = make(tmp_path, tmp_path / "none").validation.load(0)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.mask, again.mask)
