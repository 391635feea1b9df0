"""Public PET with known answers: digital reference objects for SUV, and a real series with a contour.

`MIPSEG_TEST_DATA_DIR` names the folder that holds `suv-dro/` (oncoray/suv_computation, CC BY 4.0) and `pet/STS_001/`
(TCIA Soft-tissue-Sarcoma by way of oncoray/mirp, CC BY 3.0); nothing of them is part of this repository.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pydicom import dcmread

from mipseg.io.describe import describe_input
from mipseg.io.read import read_volume

DATA = Path(os.environ.get("MIPSEG_TEST_DATA_DIR", "MIPSEG_TEST_DATA_DIR is not set"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="MIPSEG_TEST_DATA_DIR names no folder with suv-dro/ and pet/")
OBJECTS = sorted((DATA / "suv-dro").glob("DRO_*")) or [DATA / "suv-dro" / "DRO_0_0"]


@needs_data
@pytest.mark.parametrize("folder", OBJECTS, ids=lambda folder: folder.name)
def test_reference_objects_have_their_suv(folder: Path) -> None:
    suv = describe_input(folder).suv
    assert (suv.available, suv.reason) == (True, None)
    assert [suv.min, suv.median, suv.max] == [
        pytest.approx(0.2, abs=0.005),
        pytest.approx(1, abs=0.005),
        pytest.approx(4, abs=0.005),
    ]


@needs_data
def test_the_hottest_voxel_in_the_contour_of_a_sarcoma() -> None:
    """IBSI gives an SUVmax of 7.9; the tumour lies in the left thigh, which the patient frame has to show."""
    volume = read_volume(DATA / "pet" / "STS_001")
    assert volume.voxels.shape == (267, 128, 128)
    tumour = contour_mask(DATA / "pet" / "STS_001" / "rtstruct" / "1-1.dcm", volume.affine, volume.voxels.shape)
    assert float(volume.voxels[tumour].max()) == pytest.approx(7.91, abs=0.005)
    k, _, i = np.argwhere(tumour).mean(axis=0)
    assert i > 64  # the patient's left
    assert k < 267 / 3  # the lower third


@needs_data
def test_what_is_said_of_a_real_series() -> None:
    found = describe_input(DATA / "pet" / "STS_001")
    assert (found.maker, found.tracer) == ("GE MEDICAL SYSTEMS Discovery ST", "F-18, FDG -- fluorodeoxyglucose")
    assert (found.size, found.orientation, found.uptake_minutes) == ((128, 128, 267), "LPS", 45.18)
    assert found.suv.available
    assert found.suv.factor is None
    assert [warning.split(":")[0] for warning in found.warnings] == ["series", "reference-time", "uneven-slices"]


def contour_mask(file: Path, affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Voxels whose centre lies in the contour `GTV_Mass`, (Z, Y, X) bool."""
    structures = dcmread(file)
    (roi,) = (item.ROINumber for item in structures.StructureSetROISequence if item.ROIName == "GTV_Mass")
    (contours,) = (item for item in structures.ROIContourSequence if item.ReferencedROINumber == roi)
    mask = np.zeros(shape, bool)
    to_index = np.linalg.inv(affine)
    for contour in contours.ContourSequence:
        points = np.array(contour.ContourData, float).reshape(-1, 3)
        indices = (np.c_[points, np.ones(len(points))] @ to_index.T)[:, :3]
        drawing = Image.new("1", (shape[2], shape[1]))
        ImageDraw.Draw(drawing).polygon([(float(i), float(j)) for _, j, i in indices], fill=1)
        mask[round(float(indices[:, 0].mean()))] |= np.asarray(drawing)
    return mask
