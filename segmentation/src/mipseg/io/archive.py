"""ZIP archives from strangers: checked by their table of contents, then unpacked under names of our own."""

import lzma
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from mipseg.errors import VolumeError

MAX_FILES = 50_000
MAX_BYTES = 4 * 2**30  # unpacked: a PET/CT study with thin slices has 1 to 2 GiB
MAX_RATIO = 200  # unpacked to packed, of archives beyond the size below; images do 2 to 10, bombs 1000
UNSUSPICIOUS_BYTES = 2**28
_CHUNK = 1 << 20
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(EOFError, NotImplementedError, RuntimeError, ValueError),
)


def unpack_zip(archive: Path, folder: Path) -> None:
    """Unpack a ZIP archive; no name of it reaches the file system.

    Args:
        archive: the file.
        folder: an empty folder; receives the files as `000000`, `000001`, ..., in the archive's order.

    Raises:
        VolumeError: damaged, too large, encrypted, or with links or names that lead out of it. An archive inside stays
            packed.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            _check_members(members, archive)
            for number, member in enumerate(members):
                with opened.open(member) as packed, (folder / f"{number:06d}").open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked, _CHUNK)
    except (OSError, *_DAMAGED) as error:
        if isinstance(error, OSError) and error.errno is not None:  # else it is bzip2's, of damaged data
            raise VolumeError(f"can't unpack {archive.name}: {error.strerror}") from error
        raise VolumeError(f"{archive.name} is not a sound ZIP archive; it may be cut off") from error


def _check_members(members: list[zipfile.ZipInfo], archive: Path) -> None:
    if len(members) > MAX_FILES:
        raise VolumeError(f"{archive.name} holds {len(members)} files; at most {MAX_FILES} are read")
    # `zipfile` never unpacks more of a member than is claimed here.
    size = sum(member.file_size for member in members)
    if size > MAX_BYTES or size > max(UNSUSPICIOUS_BYTES, MAX_RATIO * archive.stat().st_size):
        raise VolumeError(
            f"{archive.name} would unpack to {size / 2**30:.1f} GiB; at most {MAX_BYTES / 2**30:g} GiB and"
            f" {MAX_RATIO} times the archive are read"
        )
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1]):
            raise VolumeError(f"{archive.name} holds a name that leads out of it: {_shown(member)}")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise VolumeError(f"{archive.name} holds a symbolic link: {_shown(member)}")
        if member.flag_bits & 1:
            raise VolumeError(f"{archive.name} is encrypted; unpack it first")


def _shown(member: zipfile.ZipInfo) -> str:
    return ascii(member.filename[:100])
