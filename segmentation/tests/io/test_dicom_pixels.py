"""Pixels of DICOM slices: slopes, encodings, compression, and files that are cut or damaged."""

import contextlib
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import gdcm
import numpy as np
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    RLELossless,
)

from mipseg.errors import VolumeError
from mipseg.io.read import read_volume
from tests.io.pet_files import FACTOR, PHANTOM, SLOPE, make_slices, read_slices, refusal_of, write_slices

SUV = (PHANTOM * (SLOPE * FACTOR)).astype(np.float32)


def test_each_slice_has_its_own_slope_and_intercept(tmp_path: Path) -> None:
    slices = make_slices()
    for index, header in enumerate(slices):
        header.RescaleSlope, header.RescaleIntercept = 1.0 + index, 10.0 * index
    volume = read_slices(tmp_path, slices)
    wanted = [(pixels * (1.0 + index) + 10 * index) * FACTOR for index, pixels in enumerate(PHANTOM)]
    np.testing.assert_allclose(volume.voxels, wanted, rtol=1e-6)


def test_unsigned_pixels(tmp_path: Path) -> None:
    slices = make_slices(PHANTOM, PixelRepresentation=0)
    slices[0].PixelData = np.array([60_000, *PHANTOM[0].ravel()[1:]], "<u2").tobytes()
    assert read_slices(tmp_path, slices).voxels[0, 0, 0] == pytest.approx(60_000 * SLOPE * FACTOR)


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
    np.testing.assert_allclose(read_slices(tmp_path, slices).voxels, SUV, rtol=1e-6)


def test_files_from_before_the_preamble(tmp_path: Path) -> None:
    for index, header in enumerate(make_slices()):
        del header.file_meta
        dcmwrite(tmp_path / str(index), header, implicit_vr=True, little_endian=True)
    np.testing.assert_allclose(read_volume(tmp_path).voxels, SUV, rtol=1e-6)


@pytest.mark.parametrize("keyword", ["FloatPixelData", "DoubleFloatPixelData"])
def test_pixels_that_are_floating_point_numbers(keyword: str, tmp_path: Path) -> None:
    slices = make_slices()
    for header in slices:
        kind = np.float32 if keyword == "FloatPixelData" else np.float64
        setattr(header, keyword, np.ones((header.Rows, header.Columns), kind).tobytes())
        del header.PixelData
        header.BitsAllocated = 8 * np.dtype(kind).itemsize
    assert "holds its pixels as floating-point numbers, which PET does not" in refusal_of(tmp_path, slices)


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


def test_every_cut_of_a_file_is_refused_or_said(tmp_path: Path) -> None:
    file = max(write_slices(tmp_path, make_slices()).iterdir(), key=lambda f: dcmread(f).InstanceNumber)
    whole = file.read_bytes()
    for length in range(140, len(whole), 17):
        file.write_bytes(whole[:length])
        with contextlib.suppress(VolumeError):
            assert any("damaged" in warning for warning in read_volume(tmp_path).warnings), length
