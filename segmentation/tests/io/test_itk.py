"""MHA and NRRD files in any orientation, and those that leave it open."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from mipseg.errors import VolumeError
from mipseg.io.read import read_volume
from tests.io.pet_files import FACTOR, SLOPE, orientations, turned
from tests.io.test_volume import SUV, check_is_phantom


def write(file: Path, axes: tuple[int, int, int] = (0, 1, 2), flips: tuple[bool, bool, bool] = (False,) * 3) -> Path:
    array, affine = turned(axes, flips)
    image = SimpleITK.GetImageFromArray((array * SLOPE * FACTOR).astype(np.float32))
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing[::-1].tolist())
    image.SetDirection((affine[:3, :3] / spacing)[:, ::-1].ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    SimpleITK.WriteImage(image, str(file))
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
def test_a_cut_file(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / name)
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(VolumeError, match=f"{name} is not a sound image file; it (is|may be) cut off"):
        read_volume(file)
    assert capfd.readouterr() == ("", "")


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
        ("a.mha", b"ElementSpacing = 2.5 2 3", b"ElementSpacing = 0 2 3", "a.mha"),
    ],
)
def test_broken_headers(name: str, old: bytes, new: bytes, text: str, tmp_path: Path) -> None:
    file = write(tmp_path / name)
    assert file.read_bytes().count(old) == 1
    file.write_bytes(file.read_bytes().replace(old, new))
    with pytest.raises(VolumeError, match=text):
        read_volume(file)


def test_several_numbers_a_voxel(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(np.stack([SUV, SUV], axis=3), isVector=True)
    SimpleITK.WriteImage(image, str(tmp_path / "a.mha"))
    with pytest.raises(VolumeError, match="holds 2 numbers a voxel"):
        read_volume(tmp_path / "a.mha")


def test_not_three_dimensions(tmp_path: Path) -> None:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(SUV[0]), str(tmp_path / "a.mha"))
    with pytest.raises(VolumeError, match=r"a\.mha is 2-D \(5 x 7\)"):
        read_volume(tmp_path / "a.mha")
