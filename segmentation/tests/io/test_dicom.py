"""DICOM series: slices in order, each with its slope, and everything that is not such a stack is named."""

import contextlib
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    EnhancedPETImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    NuclearMedicineImageStorage,
    RLELossless,
    generate_uid,
)

from mipseg.errors import VolumeError
from mipseg.io.read import read_volume
from mipseg.io.volume import Volume
from tests.io.pet_files import FACTOR, PHANTOM, SLOPE, make_slices, set_attribute, write_slices

SUV = (PHANTOM * (SLOPE * FACTOR)).astype(np.float32)


def read(folder: Path, slices: list[Dataset], **arguments: Any) -> Volume:
    return read_volume(write_slices(folder, slices), **arguments)


def refused(folder: Path, slices: list[Dataset], **arguments: Any) -> str:
    with pytest.raises(VolumeError) as caught:
        read(folder, slices, **arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def at_heights(*heights: float) -> list[Dataset]:
    """A slice of the phantom at each of the heights, in mm."""
    slices = make_slices(PHANTOM[: len(heights)])
    for header, height in zip(slices, heights, strict=True):
        header.ImagePositionPatient = [*header.ImagePositionPatient[:2], height]
    return slices


def test_each_slice_has_its_own_slope_and_intercept(tmp_path: Path) -> None:
    slices = make_slices()
    for index, header in enumerate(slices):
        header.RescaleSlope, header.RescaleIntercept = 1.0 + index, 10.0 * index
    volume = read(tmp_path, slices)
    wanted = [(pixels * (1.0 + index) + 10 * index) * FACTOR for index, pixels in enumerate(PHANTOM)]
    np.testing.assert_allclose(volume.voxels, wanted, rtol=1e-6)


def test_unsigned_pixels(tmp_path: Path) -> None:
    slices = make_slices(PHANTOM, PixelRepresentation=0)
    slices[0].PixelData = np.array([60_000, *PHANTOM[0].ravel()[1:]], "<u2").tobytes()
    assert read(tmp_path, slices).voxels[0, 0, 0] == pytest.approx(60_000 * SLOPE * FACTOR)


def compress_jpeg_lossless(file: Path) -> None:
    reader = gdcm.ImageReader()
    reader.SetFileName(str(file))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(file))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def compress_rle(file: Path) -> None:
    header = dcmread(file)
    header.compress(RLELossless, generate_instance_uid=False)
    header.save_as(file)


@pytest.mark.parametrize(
    ("compress", "syntax"), [(compress_jpeg_lossless, JPEGLosslessSV1), (compress_rle, RLELossless)]
)
def test_compressed_pixels(compress: Callable[[Path], None], syntax: str, tmp_path: Path) -> None:
    slices = make_slices()
    slices[0].PixelData = (-PHANTOM[0]).astype("<i2").tobytes()
    for file in sorted(write_slices(tmp_path, slices).iterdir()):
        compress(file)
        assert dcmread(file).file_meta.TransferSyntaxUID == syntax
    np.testing.assert_allclose(
        read_volume(tmp_path).voxels, SUV * np.array([-1, 1, 1, 1, 1, 1])[:, None, None], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("place", "damage"),
    [(6, b"\xff"), (70, b"\xff\xd9")],
    ids=["a precision that crashes GDCM", "an early end, after which it makes up pixels"],
)
def test_a_damaged_jpeg_is_refused_and_ends_no_process(place: int, damage: bytes, tmp_path: Path) -> None:
    file = sorted(write_slices(tmp_path, make_slices()).iterdir())[3]
    compress_jpeg_lossless(file)
    content = bytearray(file.read_bytes())
    begin = content.index(b"\xff\xd8\xff") + place
    content[begin : begin + len(damage)] = damage
    file.write_bytes(content)
    with pytest.raises(VolumeError, match=f"the pixels of {file.name} can't be decoded"):
        read_volume(tmp_path)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_encodings(syntax: UID, tmp_path: Path) -> None:
    slices = make_slices()
    for header in slices:
        header.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            header.PixelData = np.frombuffer(header.PixelData, "<i2").astype(">i2").tobytes()
    np.testing.assert_allclose(read(tmp_path, slices).voxels, SUV, rtol=1e-6)


def test_files_from_before_the_preamble(tmp_path: Path) -> None:
    for index, header in enumerate(make_slices()):
        del header.file_meta
        dcmwrite(tmp_path / str(index), header, implicit_vr=True, little_endian=True)
    np.testing.assert_allclose(read_volume(tmp_path).voxels, SUV, rtol=1e-6)


def test_slices_that_came_twice_are_left_out_and_said(tmp_path: Path) -> None:
    slices = make_slices()
    again = make_slices()[2:4]
    again[1].SOPInstanceUID = generate_uid(entropy_srcs=["other name, same pixels"])
    volume = read(tmp_path, slices + again)
    np.testing.assert_allclose(volume.voxels, SUV, rtol=1e-6)
    assert volume.warnings == ("duplicates: 2 slices came more than once and were left out",)


def test_nearly_even_slices_stay_as_they_are(tmp_path: Path) -> None:
    volume = read(tmp_path, at_heights(0.0, 3.27, 6.54, 9.83, 13.02))
    np.testing.assert_allclose(volume.voxels, SUV[:5], rtol=1e-6)
    assert volume.spacing[0] == pytest.approx(13.02 / 4)
    (warning,) = volume.warnings
    assert (
        warning == "uneven-slices: distances between slices are 3.19 to 3.29 mm; taken as 3.255 mm, at most 0.06 mm off"
    )


def test_uneven_slices_are_resampled_linearly_and_led_back(tmp_path: Path) -> None:
    volume = read(tmp_path, at_heights(0.0, 4.0, 8.0, 13.0, 17.0))
    wanted = [SUV[0], SUV[1], SUV[2], SUV[2] * 0.2 + SUV[3] * 0.8, SUV[3] * 0.25 + SUV[4] * 0.75]
    assert volume.spacing[0] == 4
    np.testing.assert_allclose(volume.voxels, wanted, rtol=1e-5)
    assert volume.warnings == (
        "resampled: distances between slices are 4.00 to 5.00 mm; interpolated linearly to 4.000 mm",
    )
    marks = np.zeros(volume.voxels.shape, bool)
    marks[3] = True
    restored = volume.source.restore(marks)
    assert restored.shape == (5, 5, 7)
    assert restored.any(axis=(1, 2)).tolist() == [False, False, False, True, False]


def test_weight_and_dose_can_be_given(tmp_path: Path) -> None:
    slices = make_slices(PatientWeight=None)
    volume = read(tmp_path / "a", slices)
    assert (volume.unit, volume.suv_reason) == ("bqml", "no body weight (PatientWeight is missing, 0 or not a number)")
    np.testing.assert_allclose(volume.voxels, PHANTOM * SLOPE, rtol=1e-6)
    volume = read_volume(tmp_path / "a", weight_kg=140.0, dose_bq=35e6)
    assert volume.unit == "suv"
    np.testing.assert_allclose(volume.voxels, SUV * 4, rtol=1e-6)


def test_an_impossible_suv_is_refused(tmp_path: Path) -> None:
    volume = read(tmp_path, make_slices(RescaleSlope=5e4))
    assert volume.unit == "bqml"
    assert volume.suv_reason.startswith("implausible: the median SUV of the body would be 1")
    np.testing.assert_allclose(volume.voxels, PHANTOM * 5e4, rtol=1e-6)


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({"SOPClassUID": EnhancedPETImageStorage}, "enhanced PET (one file of many frames) is not supported"),
        ({"SOPClassUID": NuclearMedicineImageStorage}, "SPECT, not PET: a nuclear medicine object"),
        ({"SeriesDescription": "Tc-99m MDP"}, "SPECT, not PET: Tc-99m emits no positrons"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "RECON TOMO"]}, "SPECT, not PET: ImageType has TOMO"),
        ({"ManufacturerModelName": "Symbia T6"}, "SPECT, not PET: ManufacturerModelName has 'Symbia'"),
        ({"CollimatorType": "PARA"}, "SPECT, not PET: a collimator of type PARA"),
        ({"SeriesDescription": "Bone SPECT AC"}, "SPECT, not PET: SeriesDescription has 'SPECT'"),
        ({"SeriesType": ["DYNAMIC", "IMAGE"]}, "dynamic PET (several images of each place) is not supported"),
        ({"SeriesType": ["GATED", "IMAGE"]}, "gated PET"),
        ({"NumberOfFrames": 6}, "a PET file with several frames"),
        ({"RescaleSlope": None}, "has no RescaleSlope above 0"),
        ({"ImagePositionPatient": None}, "has no ImagePositionPatient"),
        ({"ImageOrientationPatient": None}, "6 slices without ImageOrientationPatient"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "which is not a pair of directions"),
        ({"PixelSpacing": [0, 0]}, "a spacing of 3 x 0 x 0 mm"),
        ({"Rows": 60_000, "Columns": 60_000}, "claims 6 x 60000 x 60000 voxels"),
        ({"Rows": 6}, "can't be decoded; the file is cut off or damaged"),
    ],
)
def test_a_series_that_is_no_static_pet_volume_is_refused_by_name(
    attributes: dict[str, Any], text: str, tmp_path: Path
) -> None:
    assert text in refused(tmp_path, make_slices(**attributes))


@pytest.mark.parametrize(("half_life", "name"), [(21_672.0, None), (6588.0, "99mTc-MDP")])
def test_a_tracer_without_positrons_is_spect(half_life: float, name: str | None, tmp_path: Path) -> None:
    slices = make_slices(RadionuclideHalfLife=half_life)
    if name:
        for header in slices:
            header.RadiopharmaceuticalInformationSequence[0].Radiopharmaceutical = name
    assert "SPECT, not PET: Tc-99m emits no positrons" in refused(tmp_path, slices)


def test_dynamic_pet_that_does_not_say_so(tmp_path: Path) -> None:
    later = make_slices(FrameReferenceTime=60_000.0)
    for header in later:
        header.SOPInstanceUID = generate_uid()
    assert "several images of one place at different times" in refused(tmp_path, make_slices() + later)


def test_two_series_under_one_uid(tmp_path: Path) -> None:
    other = make_slices(PHANTOM + 1)
    for header in other:
        header.SOPInstanceUID = generate_uid()
    assert "has two different slices at one place" in refused(tmp_path, make_slices() + other)


@pytest.mark.parametrize(
    ("keyword", "value", "text"),
    [
        ("PatientID", "P2", "mixes several patients (2)"),
        ("Units", "CNTS", "mixes slices of different Units: BQML, CNTS"),
        ("FrameOfReferenceUID", "1.2.3", "mixes slices of different FrameOfReferenceUID"),
        ("PixelSpacing", [2.0, 2.6], "mixes slices of different PixelSpacing"),
        (
            "ImageOrientationPatient",
            [0.0, 1.0, 0.0, 1.0, 0.0, 0.0],
            "mixes slices of different ImageOrientationPatient",
        ),
    ],
)
def test_slices_that_do_not_belong_together(keyword: str, value: Any, text: str, tmp_path: Path) -> None:
    slices = make_slices()
    set_attribute(slices[2], keyword, value)
    assert text in refused(tmp_path, slices)


def test_missing_slices_are_placed(tmp_path: Path) -> None:
    text = refused(tmp_path, at_heights(0, 3, 6, 15, 18, 21))
    assert text == "about 2 slices are missing, between 6.0 and 15.0 mm along the normal"


def test_slices_that_are_missing_at_an_end_are_said(tmp_path: Path) -> None:
    volume = read(tmp_path, make_slices(NumberOfSlices=6)[:4])
    assert volume.warnings == ("fewer-slices: the series has 6 slices by its header, of which 4 are there",)


@pytest.mark.parametrize(("thickness", "count"), [(1.5, None), (1.7, None), (1.5, 6), ("thin", None)])
def test_slices_thinner_than_their_distance_are_said(thickness: Any, count: int | None, tmp_path: Path) -> None:
    slices = make_slices()
    for header in slices:
        if count is not None:
            header.NumberOfSlices = count
        header.add_new("SliceThickness", "DS" if thickness != "thin" else "LO", thickness)
    said = "fewer-slices: slices are 1.50 mm thick, but 3.00 mm apart; some may be missing"
    assert read(tmp_path, slices).warnings == ((said,) if (thickness, count) == (1.5, None) else ())


@pytest.mark.parametrize("keyword", ["FloatPixelData", "DoubleFloatPixelData"])
def test_pixels_that_are_floating_point_numbers(keyword: str, tmp_path: Path) -> None:
    slices = make_slices()
    for header in slices:
        kind = np.float32 if keyword == "FloatPixelData" else np.float64
        setattr(header, keyword, np.ones((header.Rows, header.Columns), kind).tobytes())
        del header.PixelData
        header.BitsAllocated = 8 * np.dtype(kind).itemsize
    assert "holds its pixels as floating-point numbers, which PET does not" in refused(tmp_path, slices)


@pytest.mark.parametrize(
    ("attributes", "given", "found"),
    [
        ({"PatientWeight": 80.0, "PatientSize": 1.8}, None, (80.0, 1.8)),
        ({"PatientWeight": 80.0, "PatientSize": 180.0}, 60.0, (60.0, None)),
        ({"PatientWeight": None}, 60.0, (60.0, None)),
        ({"PatientWeight": None}, None, (None, None)),
        ({"PatientWeight": 80_000.0, "PatientSize": 1.8}, None, (None, 1.8)),
    ],
)
def test_weight_and_height_are_those_that_suv_is_computed_with(
    attributes: dict[str, Any], given: float | None, found: tuple[float | None, float | None], tmp_path: Path
) -> None:
    volume = read(tmp_path, make_slices(**attributes), weight_kg=given)
    assert (volume.weight_kg, volume.height_m) == found


@pytest.mark.parametrize("shift", [0.9, 1.1])
def test_slices_may_lie_beside_each_other_by_half_a_pixel(shift: float, tmp_path: Path) -> None:
    slices = make_slices()  # the smaller side of their pixels is 2 mm
    x, y, z = slices[3].ImagePositionPatient
    slices[3].ImagePositionPatient = [x, y + shift, z]
    if shift > 1:
        assert "do not lie straight above each other" in refused(tmp_path, slices)
    else:
        assert read(tmp_path, slices).unit == "suv"


@pytest.mark.parametrize("description", ["Forte PET AC", "WB precedence high", "infinia millennium tandem"])
def test_words_that_cameras_are_called_by_as_well(description: str, tmp_path: Path) -> None:
    slices = make_slices(SeriesDescription=description, StudyDescription=description)
    assert read(tmp_path, slices).unit == "suv"


def test_one_slice(tmp_path: Path) -> None:
    assert "has one slice; a volume needs at least 2" in refused(tmp_path, make_slices()[:1])


def test_deflated_files_are_refused_unread(tmp_path: Path) -> None:
    folder = write_slices(tmp_path / "series", make_slices())
    with zipfile.ZipFile(tmp_path / "series.zip", "w") as packed:
        for file in folder.iterdir():
            header = dcmread(file)
            header.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
            header.add_new((0x0009, 0x0010), "LO", "MAKER")
            header.add_new((0x0009, 0x1001), "UT", " " * (16 << 20))  # deflates to next to nothing
            dcmwrite(file, header)
            packed.write(file, file.name)
    tracemalloc.start()
    for path in (folder, tmp_path / "series.zip"):
        with pytest.raises(VolumeError, match="is deflated DICOM, which is not read; convert it to explicit VR first"):
            read_volume(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20


def test_a_file_that_is_cut_within_its_pixels(tmp_path: Path) -> None:
    file = sorted(write_slices(tmp_path, make_slices()).iterdir())[2]
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(
        VolumeError, match=f"the pixels of {file.name} can't be decoded; the file is cut off or damaged"
    ):
        read_volume(tmp_path)


def test_a_file_that_is_cut_within_its_header_leaves_a_gap_that_names_it(tmp_path: Path) -> None:
    (file,) = (f for f in write_slices(tmp_path, make_slices()).iterdir() if dcmread(f).InstanceNumber == 3)
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(VolumeError, match=f"about 1 slices are missing.*; 1 files can't be read, such as {file.name}"):
        read_volume(tmp_path)


def test_every_cut_of_a_file_is_refused_or_said(tmp_path: Path) -> None:
    file = max(write_slices(tmp_path, make_slices()).iterdir(), key=lambda f: dcmread(f).InstanceNumber)
    whole = file.read_bytes()
    for length in range(140, len(whole), 17):
        file.write_bytes(whole[:length])
        with contextlib.suppress(VolumeError):
            assert any("damaged" in warning for warning in read_volume(tmp_path).warnings), length
