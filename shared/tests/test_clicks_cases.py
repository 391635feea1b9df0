"""The copies of patients from which the viewer's rule of clicks is fitted (`bench/clicks_cases.py`)."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from bench.clicks_cases import Patient, write_copy, write_patient

DRAWS = 20


@pytest.fixture
def patient() -> Patient:
    """One lesion of one pixel, which both networks see."""
    reference = np.zeros((60, 41), bool)
    reference[30, 20] = True
    intensity = np.where(reference, 0.8, 0.1).astype(np.float32)
    return Patient("patient_007", 3, reference, intensity, [np.where(reference, p, 0.001) for p in (0.9, 0.6)])


def read(folder: Path, case: dict[str, Any], kind: str) -> npt.NDArray[np.uint8]:
    """What Node reads; an error if the file is not of the size that it is told."""
    return np.fromfile(folder / f"{case['id']}.{kind}", np.uint8).reshape(case["height"], case["width"])


def test_a_patient_is_written_as_it_is(patient: Patient, tmp_path: Path) -> None:
    case = write_patient(tmp_path, patient)
    assert case == {"id": "patient_007", "fold": 3, "width": 41, "height": 60}
    np.testing.assert_array_equal(read(tmp_path, case, "reference"), patient.reference)
    np.testing.assert_array_equal(read(tmp_path, case, "mask"), patient.reference)
    assert read(tmp_path, case, "intensity")[[30, 0], [20, 0]].tolist() == [204, 26]  # 255 times as much, rounded
    assert read(tmp_path, case, "probability")[30, 20] == 230  # of the first map, which is judged


def test_copies_belong_to_their_patients_fold_and_have_sizes_of_their_own(patient: Patient, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    copies = [write_copy(tmp_path, f"copy_{n}", patient, draw) for n in range(DRAWS)]
    assert {copy["fold"] for copy in copies} == {3}
    for copy in copies:
        assert copy["height"] / copy["width"] == pytest.approx(60 / 41, rel=0.03)
    heights = np.array([copy["height"] for copy in copies])
    assert 0.1 < np.log(heights / 60).std() < 0.2


def test_a_copy_does_not_lose_the_only_lesion(patient: Patient, tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    for n in range(DRAWS):
        copy = write_copy(tmp_path, f"copy_{n}", patient, draw)
        y, x = np.nonzero(read(tmp_path, copy, "reference"))
        assert 1 <= len(y) <= 4
        assert y.mean() / copy["height"] == pytest.approx(30.5 / 60, abs=0.03)
        assert x.mean() / copy["width"] == pytest.approx(20.5 / 41, abs=0.03)


def test_copies_differ_as_their_draws_do(patient: Patient, tmp_path: Path) -> None:
    copies = [
        write_copy(tmp_path, f"copy_{n}", patient, np.random.default_rng(seed)) for n, seed in enumerate([5, 5, 6])
    ]
    for kind in ("intensity", "probability"):
        first, again, other = (read(tmp_path, copy, kind) for copy in copies)
        np.testing.assert_array_equal(first, again)
        assert first.shape != other.shape or (first != other).any()
