"""MetaImage (.mha) and NRRD (.nrrd) files, by ITK."""

import math
from pathlib import Path

import numpy as np
import SimpleITK

from mipseg.errors import VolumeError
from mipseg.io.volume import Grid, check_affine, check_finite, check_size

_HEADER_BYTES = 1 << 16
_NRRD = b"NRRD000"


def read_itk(file: Path) -> Grid:
    """Read an .mha or .nrrd file.

    Returns:
        (k, j, i) float32, the reverse of the file's own order, as SimpleITK gives it.

    Raises:
        VolumeError: damaged, too large, not 3-D, voxels that are no finite numbers, no orientation, or a header whose
            voxels lie in another file.
    """
    name = file.name
    with file.open("rb") as stream:
        head = stream.read(_HEADER_BYTES)
    _check_header(head, name)
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("NrrdImageIO" if head.startswith(_NRRD) else "MetaImageIO")
    reader.SetFileName(str(file))
    try:
        reader.ReadImageInformation()
        if reader.GetNumberOfComponents() != 1:
            raise VolumeError(f"{name} holds {reader.GetNumberOfComponents()} numbers a voxel; one is needed")
        check_size(tuple(reversed(reader.GetSize())), name)
        _check_length(reader, head, file)
        reader.SetOutputPixelType(SimpleITK.sitkFloat32)
        image = reader.Execute()
    except RuntimeError as error:
        raise VolumeError(f"{name} is not a sound image file; it may be cut off") from error
    affine = np.eye(4)
    directions = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, :3], affine[:3, 3] = directions[:, ::-1], image.GetOrigin()
    check_affine(affine, name)
    array = SimpleITK.GetArrayFromImage(image)
    check_finite(array, name)
    return Grid(array, affine)


def _check_header(head: bytes, name: str) -> None:
    """Refuse what ITK would fill in by itself: an orientation, or voxels from whatever file the header names."""
    if head.startswith(_NRRD):
        fields = head.split(b"\n\n", 1)[0].replace(b"\r", b"").lower()
        elsewhere, oriented = b"\ndata file:" in fields or b"\ndatafile:" in fields, b"\nspace:" in fields
        oriented = oriented and b"\nspace directions:" in fields
    else:
        # ITK reports what is missing on stderr by itself.
        needed = ("NDims", "DimSize", "ElementType", "ElementDataFile")
        if missing := [key for key in needed if key.encode() not in head]:
            raise VolumeError(f"{name} is not a sound image file; its header has no {missing[0]}")
        fields, _, rest = head.partition(b"ElementDataFile")
        elsewhere = not rest.lstrip(b" =\t").startswith(b"LOCAL")
        oriented = any(b"\n" + key in fields for key in (b"TransformMatrix", b"Rotation", b"Orientation"))
    if elsewhere:
        raise VolumeError(f"the voxels of {name} lie in another file; write header and voxels into one (.mha, .nrrd)")
    if not oriented:
        raise VolumeError(f"{name} has no orientation; left and right are unknown")


def _check_length(reader: SimpleITK.ImageFileReader, head: bytes, file: Path) -> None:
    """Refuse an .mha file that is shorter than its unpacked voxels, before ITK says so on stderr."""
    if head.startswith(_NRRD) or b"CompressedData = True" in head:
        return
    begin = head.index(b"\n", head.index(b"ElementDataFile")) + 1
    a_voxel = SimpleITK.Image([1, 1, 1], reader.GetPixelID()).GetSizeOfPixelComponent()
    if file.stat().st_size - begin < math.prod(reader.GetSize()) * a_voxel:
        raise VolumeError(f"{file.name} is not a sound image file; it is cut off")
