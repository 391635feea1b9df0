"""NIfTI files (.nii, .nii.gz; version 1 and 2, of either byte order)."""

import gzip
import math
import zlib
from pathlib import Path
from typing import IO, Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.spatialimages import HeaderDataError

from mipseg.errors import VolumeError
from mipseg.io.find import GZIP_MAGIC
from mipseg.io.volume import Affine, Grid, check_affine, check_finite, check_size, farthest_corner

_CHUNK = 1 << 24
_LPS_OF_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MILLIMETRES = {"meter": 1000.0, "mm": 1.0, "micron": 0.001}
MAX_DISAGREEMENT = 0.5  # between sform and qform at a corner, in sides of the smallest voxel
_MAX_STRETCH = 0.01  # between the sides of a voxel by pixdim and by the matrix


def read_nifti(file: Path) -> Grid:
    """Read a NIfTI file.

    Returns:
        (i, j, k) float32 in the file's own order, with scale and intercept applied.

    Raises:
        VolumeError: damaged, too large, more than one volume, voxels that are no finite numbers, or an orientation that
            is missing or contradicts itself.
    """
    name = file.name
    try:
        with _open(file) as stream:
            header = _read_header(stream)
            shape = _shape(header, name)
            affine = _affine(header, shape, name)
            with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused below
                array = _read_voxels(header, stream, shape, name)
            stream.read(1)  # at its end, gzip compares its checksum
    except (HeaderDataError, OSError, EOFError, ValueError, KeyError, OverflowError, zlib.error) as error:
        raise VolumeError(f"{name} is not a sound NIfTI file; it may be cut off") from error
    check_finite(array, name)
    return Grid(array, affine)


def _open(file: Path) -> IO[bytes]:
    with file.open("rb") as stream:
        packed = stream.read(2) == GZIP_MAGIC
    return gzip.open(file) if packed else file.open("rb")  # type: ignore[return-value] # it reads like any file


def _read_header(stream: IO[bytes]) -> Any:
    """The header as it is written; nibabel's own checks would set a spacing of 0 to 1."""
    is_second = stream.read(8)[4:7] == b"n+2"
    stream.seek(0)
    return (nib.Nifti2Header if is_second else nib.Nifti1Header).from_fileobj(stream, check=False)


def _shape(header: Any, name: str) -> tuple[int, ...]:
    shape = tuple(int(side) for side in header.get_data_shape())
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) == 4:
        raise VolumeError(f"{name} is 4-D, {shape[3]} volumes in one (dynamic or several images); one is needed")
    check_size(shape, name)
    if header.get_data_dtype().kind not in "iuf":
        raise VolumeError(f"{name} holds {header.get_data_dtype()}; one real number a voxel is needed")
    return shape


def _affine(header: Any, shape: tuple[int, ...], name: str) -> Affine:
    """The (4, 4) matrix from (i, j, k) to LPS mm, if the header leaves no doubt about it."""
    sides = np.abs(header["pixdim"][1:4])
    if not (np.isfinite(sides) & (sides > 0)).all():
        raise VolumeError(f"{name} has a spacing of {_listed(sides)} mm")
    if header["pixdim"][0] not in (-1, 1):
        header["pixdim"][0] = 1  # as the standard says of 0
    sform, qform = header.get_sform(coded=True)[0], header.get_qform(coded=True)[0]
    affine = qform if sform is None else sform
    if affine is None:
        raise VolumeError(f"{name} has no orientation (sform_code and qform_code are 0); left and right are unknown")
    if sform is not None and qform is not None:
        apart = farthest_corner(sform, qform, shape)
        if not apart <= MAX_DISAGREEMENT * float(sides.min()):
            raise VolumeError(f"{name}: sform and qform disagree by up to {apart:.1f} mm; set one of the codes to 0")
    placed = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.allclose(placed, sides, rtol=_MAX_STRETCH, atol=0):
        raise VolumeError(f"{name} has a spacing of {_listed(sides)} in pixdim, but {_listed(placed)} in its sform")
    scaled = np.diag([_MILLIMETRES.get(header.get_xyzt_units()[0], 1.0)] * 3 + [1.0]) @ affine
    in_patient = np.asarray(_LPS_OF_RAS @ scaled, np.float64)
    check_affine(in_patient, name)
    return in_patient


def _listed(sides: npt.NDArray[np.floating[Any]]) -> str:
    return " x ".join(f"{side:.4g}" for side in sides)


def _offset(header: Any, name: str) -> int:
    """Where the voxels begin, in one file with their header; 0, which some write, means right behind that."""
    least = int(header.single_vox_offset)
    offset = int(header.get_data_offset()) or least
    if offset < least:
        raise VolumeError(f"{name} has its voxels from byte {offset} on (vox_offset); the header takes {least}")
    return offset


def _read_voxels(header: Any, stream: IO[bytes], shape: tuple[int, ...], name: str) -> npt.NDArray[np.float32]:
    """The voxels; memory grows with what the file really holds, not with what its header claims."""
    dtype = header.get_data_dtype()
    needed = math.prod(shape) * dtype.itemsize
    stream.seek(_offset(header, name))
    content = bytearray()
    while chunk := stream.read(min(_CHUNK, needed - len(content))):
        content += chunk
    if len(content) < needed:
        raise EOFError(f"{needed} bytes are needed, {len(content)} are there")
    array = np.frombuffer(content, dtype).reshape(shape, order="F").astype(np.float32)
    slope, intercept = header.get_slope_inter()
    if slope is not None:
        array *= np.float32(slope)
        array += np.float32(intercept)
    return array
