"""MHA and NRRD files as SimpleITK writes them, and those that must not be read."""

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from mipseg.errors import VolumeError
from mipseg.io.read import read_volume
from tests.io.pet_files import FACTOR, SLOPE, orientations, turned
from tests.io.test_volume import SUV, check_is_phantom


def write(
    file: Path,
    axes: tuple[int, int, int] = (0, 1, 2),
    flips: tuple[bool, bool, bool] = (False,) * 3,
    *,
    compressed: bool = False,
) -> Path:
    array, affine = turned(axes, flips)
    image = SimpleITK.GetImageFromArray((array * SLOPE * FACTOR).astype(np.float32))
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing[::-1].tolist())
    image.SetDirection((affine[:3, :3] / spacing)[:, ::-1].ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    SimpleITK.WriteImage(image, str(file), compressed)
    return file


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
def test_any_orientation_gives_the_same_volume(name: str, tmp_path: Path) -> None:
    for axes, flips in orientations():
        file = write(tmp_path / name, axes, flips)
        volume = read_volume(file.rename(tmp_path / "without-extension"))
        check_is_phantom(volume)
        np.testing.assert_allclose(
            volume.source.restore(volume.voxels), turned(axes, flips)[0] * SLOPE * FACTOR, rtol=1e-6
        )


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
def test_compressed_voxels_are_the_same(name: str, tmp_path: Path) -> None:
    check_is_phantom(read_volume(write(tmp_path / name, compressed=True)))


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float64"])
@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
def test_every_type_of_voxel(name: str, kind: str, tmp_path: Path) -> None:
    array = np.arange(5 * 7 * 6).reshape(6, 5, 7) % 100
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array.astype(kind)), str(tmp_path / name))
    volume = read_volume(tmp_path / name, unit="suv")
    np.testing.assert_array_equal(volume.source.restore(volume.voxels), array)


@pytest.mark.parametrize(
    ("name", "little", "big"),
    [("a.mha", b"ByteOrderMSB = False", b"ByteOrderMSB = True"), ("a.nrrd", b"endian: little", b"endian: big")],
)
def test_the_other_order_of_bytes(name: str, little: bytes, big: bytes, tmp_path: Path) -> None:
    file = write(tmp_path / name)
    content, size = file.read_bytes(), SUV.size * 4
    voxels = np.frombuffer(content[-size:], "<f4").astype(">f4").tobytes()
    file.write_bytes(content[:-size].replace(little, big) + voxels)
    check_is_phantom(read_volume(file))


def test_nrrd_in_the_axes_of_other_programs(tmp_path: Path) -> None:
    file = write(tmp_path / "a.nrrd")
    lps = file.read_bytes()
    before = read_volume(file).affine
    file.write_bytes(lps.replace(b"left-posterior-superior", b"RAS"))
    np.testing.assert_array_equal(
        read_volume(file).voxels, read_volume(write(tmp_path / "b.nrrd")).voxels[:, ::-1, ::-1]
    )
    assert not np.allclose(read_volume(file).affine, before)


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("left", [-50, -1])
def test_a_cut_file(name: str, compressed: bool, left: int, tmp_path: Path) -> None:
    file = write(tmp_path / name, compressed=compressed)
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(VolumeError, match=f"{name} is not a sound image file; it.* cut off"):
        read_volume(file)


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
def test_more_voxels_than_the_header_says(name: str, tmp_path: Path) -> None:
    file = write(tmp_path / name)
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(VolumeError, match="more bytes follow than its header's voxels have"):
        read_volume(file)
    write(file, compressed=True)
    old, new = (b"DimSize = 7 5 6", b"DimSize = 7 5 5") if name == "a.mha" else (b"sizes: 7 5 6", b"sizes: 7 5 5")
    file.write_bytes(file.read_bytes().replace(old, new))
    with pytest.raises(VolumeError, match="cut off, or more than its header says"):
        read_volume(file)


SECRET = b"\1\2\3\4" * 16  # as many bytes as the voxels below


@pytest.mark.parametrize("filling", [b"", b"x" * 60 + b"\n"])
@pytest.mark.parametrize("spelling", [b"data file", b"datafile", b"Data File", b" data file"])
def test_no_nrrd_header_makes_another_file_read(spelling: bytes, filling: bytes, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    header = (
        b"NRRD0004\ntype: uchar\ndimension: 3\nspace: left-posterior-superior\nsizes: 4 4 4\n"
        b"space directions: (2,0,0) (0,2,0) (0,0,2)\nencoding: raw\n"
    )
    comments = b"".join(b"# " + filling for _ in range(1200)) if filling else b"# data file: LOCAL\n"
    named = spelling + b": " + bytes(tmp_path / "secret") + b"\n\n"
    (tmp_path / "a.nrrd").write_bytes(header + comments + named + bytes(64))
    with pytest.raises(VolumeError, match=r"lie in another file|has no end within 64 KiB"):
        read_volume(tmp_path / "a.nrrd", unit="suv")


@pytest.mark.parametrize(
    "trick",
    [
        b"Comment = ElementDataFile = LOCAL\nElementDataFile = %s\n",
        b"ElementDataFile = %s\nElementDataFile = LOCAL\n",
        b"elementdatafile = LOCAL\nElementDataFile = %s\n",
        b"Comment = " + b"x" * 70_000 + b"\nElementDataFile = %s\n",
        b"Name = ElementDataFile\n = LOCAL\nElementDataFile = %s\n",
        b"ElementDataFile = LIST\n%s\n",
        b"ElementDataFile = %s %%d 1 4 1\n",
    ],
)
def test_no_metaimage_header_makes_another_file_read(trick: bytes, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    header = (
        b"ObjectType = Image\nNDims = 3\nBinaryData = True\nCompressedData = False\n"
        b"TransformMatrix = 1 0 0 0 1 0 0 0 1\nElementSpacing = 2 2 2\nDimSize = 4 4 4\nElementType = MET_UCHAR\n"
    )
    (tmp_path / "a.mha").write_bytes(header + trick % bytes(tmp_path / "secret") + bytes(64))
    with pytest.raises(VolumeError, match=r"lie in another file|has no end within 64 KiB|of its header says nothing"):
        read_volume(tmp_path / "a.mha", unit="suv")


def test_a_small_file_does_not_fill_the_memory(tmp_path: Path) -> None:
    file = write(tmp_path / "a.nrrd")
    header = file.read_bytes().partition(b"\n\n")[0].replace(b"encoding: raw", b"encoding: gzip")
    file.write_bytes(header + b"\n\n" + gzip.compress(bytes(1 << 28)))
    tracemalloc.start()
    with pytest.raises(VolumeError, match="cut off, or more than its header says"):
        read_volume(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("a.mha", b"ElementSpacing = 2.5 2 3", b"ElementSpacing = Smith 2 3"),
        ("a.mha", b"CompressedData = False", b"CompressedData = Smith"),
        ("a.mha", b"MET_FLOAT", b"Smith"),
        ("a.mha", b"Offset", b"Smith\nOffset"),
        ("a.mha", b"Offset", b"ElementNumberOfChannels = Smith\nOffset"),
        ("a.nrrd", b"encoding: raw", b"encoding: Smith"),
        ("a.nrrd", b"endian: little", b"endian: Smith"),
        ("a.nrrd", b"type: float", b"type: Smith"),
        ("a.nrrd", b"kinds:", b"Smith\nkinds:"),
        ("a.nrrd", b"kinds:", b'space units: "Smith"\nkinds:'),
    ],
)
def test_no_error_repeats_a_header(name: str, old: bytes, new: bytes, tmp_path: Path) -> None:
    file = write(tmp_path / name)
    file.write_bytes(file.read_bytes().replace(old, new))
    with pytest.raises(VolumeError) as caught:
        read_volume(file)
    assert "SMITH" not in str(caught.value).upper()


@pytest.mark.parametrize(
    ("name", "old", "new", "text"),
    [
        ("a.mha", b"ElementDataFile = LOCAL", b"ElementDataFile = a.raw", "the voxels of a.mha lie in another file"),
        ("a.nrrd", b"encoding:", b"data file: a.raw\nencoding:", "the voxels of a.nrrd lie in another file"),
        ("a.mha", b"TransformMatrix", b"Something", "a.mha has no orientation; left and right are unknown"),
        ("a.nrrd", b"space: left-posterior-superior\n", b"", "a.nrrd has no orientation"),
        ("a.mha", b"DimSize = 7 5 6", b"DimSize = 2000 2000 2000", "claims 2000 x 2000 x 2000 voxels"),
        ("a.nrrd", b"sizes: 7 5 6", b"sizes: 2000 2000 2000", "claims 2000 x 2000 x 2000 voxels"),
        ("a.mha", b"DimSize", b"Something", "a.mha is not a sound image file; its header has no DimSize"),
        ("a.mha", b"ElementSpacing = 2.5 2 3", b"ElementSpacing = 0 2 3", "its ElementSpacing is not above 0"),
        ("a.mha", b"ElementSpacing", b"Something", "its header has no ElementSpacing"),
        ("a.mha", b"BinaryData = True", b"BinaryData = False", "voxels are read in binary form"),
        ("a.mha", b"CompressedData = False", b"CompressedData = Maybe", "its CompressedData is neither True nor False"),
        ("a.mha", b"MET_FLOAT", b"MET_OTHER", "its ElementType is not one of MET_CHAR, "),
        ("a.mha", b"DimSize = 7 5 6", b"DimSize = 7 5 x", "its DimSize holds what is not a number"),
        ("a.mha", b"DimSize = 7 5 6", b"DimSize = 7 5", "its DimSize has 2 numbers where 3 are needed"),
        ("a.mha", b"Offset", b"NDims = 3\nOffset", "of its header says nothing, or something again"),
        ("a.mha", b"Offset", b"\xff", "its header is not text"),
        ("a.nrrd", b"encoding: raw", b"encoding: hex", "its encoding is neither raw nor gzip"),
        ("a.nrrd", b"encoding: raw", b"encoding: gzip", "its voxels can't be unpacked"),
        ("a.nrrd", b"encoding: raw", b"byte skip: 8\nencoding: raw", "voxels are read right behind the header"),
        ("a.nrrd", b"endian: little\n", b"", "its endian is neither little nor big"),
        ("a.nrrd", b"type: float", b"type: block", "its type is not that of a number"),
        ("a.nrrd", b"kinds:", b'space units: "m" "m" "m"\nkinds:', "has space units other than mm"),
        ("a.nrrd", b"kinds:", b"sizes: 1 1 1\nkinds:", "of its header says nothing, or something again"),
    ],
)
def test_broken_headers(name: str, old: bytes, new: bytes, text: str, tmp_path: Path) -> None:
    file = write(tmp_path / name)
    assert file.read_bytes().count(old) == 1
    file.write_bytes(file.read_bytes().replace(old, new))
    with pytest.raises(VolumeError, match=text):
        read_volume(file)


@pytest.mark.parametrize(("modality", "is_pet"), [("CT", False), ("MR", False), ("US", False), ("NM", True)])
def test_metaimages_that_name_another_modality(modality: str, is_pet: bool, tmp_path: Path) -> None:
    file = write(tmp_path / "a.mha")
    file.write_bytes(file.read_bytes().replace(b"NDims", f"Modality = MET_MOD_{modality}\nNDims".encode(), 1))
    if is_pet:
        assert read_volume(file).unit == "suv"
    else:
        with pytest.raises(VolumeError, match=f"a.mha is not PET; its Modality is MET_MOD_{modality}"):
            read_volume(file)


def test_several_numbers_a_voxel(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(np.stack([SUV, SUV], axis=3), isVector=True)
    SimpleITK.WriteImage(image, str(tmp_path / "a.mha"))
    with pytest.raises(VolumeError, match="holds several numbers a voxel"):
        read_volume(tmp_path / "a.mha")


def test_not_three_dimensions(tmp_path: Path) -> None:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(SUV[0]), str(tmp_path / "a.mha"))
    with pytest.raises(VolumeError, match=r"a\.mha is 2-D \(5 x 7\)"):
        read_volume(tmp_path / "a.mha")
