"""DICOM-SEG: read back by other readers, each voxel lies where the input's voxel with the same value lies."""

import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK
from pydicom import Dataset, dcmread

from mipseg.io.dicom_out import Maker, source_images
from mipseg.io.dicom_seg import make_dicom_seg
from mipseg.io.read import read_volume
from mipseg.io.volume import Volume
from tests.io.pet_files import AFFINE, PHANTOM, SPACING, make_slices, orientations, turned, write_slices

MAKER = Maker("1.2.3", "net", "a" * 64, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "identity")
FIRST, SECOND = (PHANTOM > 150) & (PHANTOM < 170), PHANTOM == 77
LABELS = FIRST.astype(np.uint16) + 2 * SECOND.astype(np.uint16)


def pet_volume(folder: Path, array: npt.NDArray[Any] = PHANTOM, affine: Any = AFFINE, **attributes: Any) -> Volume:
    return read_volume(write_slices(folder, make_slices(array, affine, **attributes)))


def written_seg(file: Path, volume: Volume, labels: npt.NDArray[np.uint16] = LABELS, maker: Maker = MAKER) -> Dataset:
    images = source_images(volume.source)
    assert not isinstance(images, str)
    segmentation = make_dicom_seg(labels, volume.source, images, maker)
    assert segmentation is not None
    segmentation.save_as(file)
    return dcmread(file)


def _places(segmentation: Dataset, segment: int) -> set[tuple[float, ...]]:
    """Where a segment's voxels lie in LPS mm, by the frames' own positions (PS3.3 C.7.6.2.1.1), without highdicom."""
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    across, down = np.reshape([float(v) for v in shared.PlaneOrientationSequence[0].ImageOrientationPatient], (2, 3))
    row_mm, column_mm = (float(side) for side in shared.PixelMeasuresSequence[0].PixelSpacing)
    places = set()
    frames = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns)
    for frame, groups in zip(frames, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        number = (groups if "SegmentIdentificationSequence" in groups else shared).SegmentIdentificationSequence[0]
        if number.ReferencedSegmentNumber == segment:
            corner = np.array([float(v) for v in groups.PlanePositionSequence[0].ImagePositionPatient])
            for row, column in np.argwhere(frame):
                place = corner + across * column * column_mm + down * row * row_mm
                places.add(tuple(float(side) for side in np.round(place, 3) + 0.0))
    return places


def _wanted(lesion: npt.NDArray[np.bool_]) -> set[tuple[float, ...]]:
    return {tuple(float(side) for side in np.round((AFFINE @ [*place, 1])[:3], 3)) for place in np.argwhere(lesion)}


def test_a_uid_stands_for_one_content(tmp_path: Path) -> None:
    volume = pet_volume(tmp_path)
    later = replace(MAKER, created=MAKER.created + timedelta(days=1))
    one, same, other = (
        written_seg(tmp_path / name, volume, maker=maker)
        for name, maker in (("1.dcm", MAKER), ("2.dcm", MAKER), ("3.dcm", later))
    )
    assert (tmp_path / "1.dcm").read_bytes() == (tmp_path / "2.dcm").read_bytes()
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert one[keyword] == same[keyword] != other[keyword]
    # The lesions are the same ones.
    assert one.SegmentSequence[0].TrackingUID == other.SegmentSequence[0].TrackingUID


def test_lies_on_the_input_in_all_orientations(tmp_path: Path) -> None:
    for number, (axes, flips) in enumerate(orientations()):
        volume = pet_volume(tmp_path / str(number), *turned(axes, flips))
        segmentation = written_seg(tmp_path / f"{number}.dcm", volume)
        assert _places(segmentation, 1) == _wanted(FIRST)
        assert _places(segmentation, 2) == _wanted(SECOND)


def test_simpleitk_reads_the_same(tmp_path: Path) -> None:
    """A reader that shares no code with pydicom."""
    volume = pet_volume(tmp_path / "pet")
    labels = FIRST.astype(np.uint16)
    written_seg(tmp_path / "seg.dcm", volume, labels)
    image = SimpleITK.ReadImage(tmp_path / "seg.dcm")
    inside = np.argwhere(SimpleITK.GetArrayFromImage(image))[:, ::-1].tolist()
    found = {tuple(float(side) for side in np.round(image.TransformIndexToPhysicalPoint(index), 3)) for index in inside}
    assert found == _wanted(FIRST)


def test_frames_name_their_source_images(tmp_path: Path) -> None:
    volume = pet_volume(tmp_path / "pet")
    segmentation = written_seg(tmp_path / "seg.dcm", volume)
    heights = {header.SOPInstanceUID: float(header.ImagePositionPatient[2]) for header in volume.source.headers}
    for groups in segmentation.PerFrameFunctionalGroupsSequence:
        (image,) = groups.DerivationImageSequence[0].SourceImageSequence
        assert heights[image.ReferencedSOPInstanceUID] == groups.PlanePositionSequence[0].ImagePositionPatient[2]


def test_codes_algorithm_and_tracking(tmp_path: Path) -> None:
    volume = pet_volume(tmp_path / "pet")
    segmentation = written_seg(tmp_path / "seg.dcm", volume)
    first, second = segmentation.SegmentSequence
    assert (first.SegmentLabel, second.SegmentLabel) == ("Lesion 1", "Lesion 2")
    (property_type,), (category,) = (
        first.SegmentedPropertyTypeCodeSequence,
        first.SegmentedPropertyCategoryCodeSequence,
    )
    assert (property_type.CodeValue, property_type.CodingSchemeDesignator) == ("108369006", "SCT")
    assert (category.CodeValue, category.CodingSchemeDesignator) == ("49755003", "SCT")
    (algorithm,) = first.SegmentationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("MIPseg net", "1.2.3")
    assert first.SegmentAlgorithmType == "AUTOMATIC"
    assert (first.TrackingID, first.TrackingUID) == ("Lesion 1", MAKER.uid("lesion 1"))
    assert segmentation.StudyInstanceUID == volume.source.headers[0].StudyInstanceUID
    assert segmentation.FrameOfReferenceUID == volume.source.headers[0].FrameOfReferenceUID
    assert (segmentation.ContentDate, segmentation.ContentTime) == ("20260102", "030405")


def test_who_outlined_a_lesion_is_said(tmp_path: Path) -> None:
    volume = pet_volume(tmp_path / "pet")
    images = source_images(volume.source)
    assert not isinstance(images, str)
    segmentation = make_dicom_seg(LABELS, volume.source, images, MAKER, {1: "semiautomatic", 2: "manual"})
    assert segmentation is not None
    by_model, by_person = segmentation.SegmentSequence
    assert (by_model.SegmentAlgorithmType, by_person.SegmentAlgorithmType) == ("SEMIAUTOMATIC", "MANUAL")
    assert by_model.SegmentAlgorithmName == "MIPseg net"
    assert "SegmentAlgorithmName" not in by_person
    assert "SegmentationAlgorithmIdentificationSequence" not in by_person


def test_the_same_result_gives_the_same_bytes(tmp_path: Path) -> None:
    volume = pet_volume(tmp_path / "pet")
    for name in ("a", "b"):
        written_seg(tmp_path / name, volume)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_slices_that_were_resampled_get_the_mask_where_they_lie(tmp_path: Path) -> None:
    slices = make_slices()
    for header, height in zip(slices, (0, 3, 6, 10.5, 12, 15), strict=True):
        header.ImagePositionPatient = [0, 0, height]
    volume = read_volume(write_slices(tmp_path / "pet", slices))
    labels = np.zeros(volume.voxels.shape, np.uint16)
    labels[4] = 1  # at 12 mm
    segmentation = written_seg(tmp_path / "seg.dcm", volume, labels)
    heights = {
        groups.PlanePositionSequence[0].ImagePositionPatient[2]
        for groups in segmentation.PerFrameFunctionalGroupsSequence
    }
    assert heights <= {10.5, 12.0}
    assert 12.0 in heights


def test_segments_are_numbered_without_gaps(tmp_path: Path) -> None:
    """The lesion between theirs lies between slices that were resampled, so no slice shows it."""
    volume = pet_volume(tmp_path / "pet")
    labels = FIRST.astype(np.uint16) + 3 * SECOND.astype(np.uint16)
    segmentation = written_seg(tmp_path / "seg.dcm", volume, labels)
    assert [(s.SegmentNumber, s.TrackingID) for s in segmentation.SegmentSequence] == [(1, "Lesion 1"), (2, "Lesion 3")]
    assert _places(segmentation, 2) == _wanted(SECOND)


def test_slices_far_from_any_lesion_are_left_out(tmp_path: Path) -> None:
    volume = pet_volume(tmp_path / "pet")
    segmentation = written_seg(tmp_path / "seg.dcm", volume, SECOND.astype(np.uint16))
    assert int(segmentation.NumberOfFrames) == 1
    assert len(segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 2  # the last, and its neighbour
    assert segmentation.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices == SPACING[0]
    assert _places(segmentation, 1) == _wanted(SECOND)


def test_no_lesion_makes_no_segmentation(tmp_path: Path) -> None:
    source = pet_volume(tmp_path / "pet").source
    images = source_images(source)
    assert not isinstance(images, str)
    assert make_dicom_seg(np.zeros_like(LABELS), source, images, MAKER) is None


def test_images_without_a_frame_of_reference_are_no_sources(tmp_path: Path) -> None:
    volume = pet_volume(tmp_path / "pet", FrameOfReferenceUID=None)
    assert source_images(volume.source) == "the images have no FrameOfReferenceUID"


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
def test_dciodvfy_finds_no_error(tmp_path: Path) -> None:
    written_seg(tmp_path / "seg.dcm", pet_volume(tmp_path / "pet"))
    assert errors_of(tmp_path / "seg.dcm") == []


def errors_of(file: Path) -> list[str]:
    """What a validator that shares no code with pydicom finds wrong."""
    found = subprocess.run(["dciodvfy", file], capture_output=True, text=True, check=False)
    return [line for line in found.stderr.splitlines() if line.startswith("Error")]
