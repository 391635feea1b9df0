"""Damaged files of every kind are read or refused in one line; nothing else ever comes out."""

import random
import zipfile
from pathlib import Path

import pytest
import SimpleITK

from mipseg.errors import InputError
from mipseg.io.describe import describe_input
from tests.io.pet_files import PHANTOM, make_slices, write_nifti, write_slices
from tests.io.test_volume import SUV


def make_input(folder: Path, kind: str) -> tuple[Path, Path]:
    """An input, and the file of it that is to be damaged."""
    if kind == "dicom":
        return write_slices(folder / "dicom", make_slices(PHANTOM[:3])), sorted((folder / "dicom").iterdir())[1]
    file = folder / f"a.{kind}"
    if kind.startswith("nii"):
        write_nifti(file)
    elif kind == "zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.write(write_nifti(folder / "b.nii"), "b.nii")
    else:
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(SUV), str(file))
    return file, file


@pytest.mark.parametrize("kind", ["dicom", "nii", "nii.gz", "mha", "nrrd", "zip"])
def test_changed_bytes(kind: str, tmp_path: Path) -> None:
    draw = random.Random(kind)  # noqa: S311
    path, file = make_input(tmp_path, kind)
    whole = file.read_bytes()
    refused = lines = 0
    for _ in range(80):
        content = bytearray(whole)
        for _ in range(draw.choice([1, 3, 20])):
            # Most of what can go wrong lies in a header.
            place = draw.randrange(len(content) if draw.random() < 0.2 else min(len(content), 1500))
            content[place] = draw.choice([0, 255, draw.randrange(256)])
        file.write_bytes(content)
        try:
            describe_input(path)
        except InputError as error:
            refused += "\n" not in str(error)
            lines += 1
    assert 0 < refused == lines
