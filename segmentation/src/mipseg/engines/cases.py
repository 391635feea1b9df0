"""The cases that inputs hold: each image, volume, archive, and each study of DICOM files, told by content."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from os.path import abspath, commonpath
from pathlib import Path

from mipseg.errors import VolumeError
from mipseg.io.find import list_files
from mipseg.io.read import Found, find_input

RECORD, PROJECTION = "measurements.json", "mip.png"  # in the folder of a case's results
_IMAGES = (".png", ".jpg", ".jpeg")
_SUFFIXES = (".nii.gz", ".nii", *_IMAGES, ".mha", ".nrrd", ".zip", ".dcm")


@dataclass(frozen=True)
class Case:
    """One thing to segment.

    Attributes:
        name: of its folder in the output; no two cases of a run share it.
        path: where it was found.
        dicom: all files of a DICOM study; empty: `path` is a file to be looked into.
        problem: why there is nothing to segment; empty: none that is known yet.
    """

    name: str
    path: Path
    dicom: tuple[Path, ...] = ()
    problem: str = ""

    @contextmanager
    def open(self) -> Iterator[Found]:
        """Its files; what is unpacked from an archive lives as long as the context.

        Raises:
            VolumeError: there is nothing that can be read.
        """
        if self.problem:
            raise VolumeError(self.problem)
        if self.dicom:
            yield Found("dicom", self.dicom)
            return
        with find_input(self.path) as found:
            yield found

    def sha256(self) -> str:
        """One digest for the content of its files, whatever their names and order.

        Raises:
            OSError: a file can't be read.
        """
        digests = []
        for file in self.dicom or (self.path,):
            with file.open("rb") as stream:
                digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
        return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()


def find_cases(inputs: Sequence[Path], out: Path) -> list[Case]:
    """List the cases of inputs, in their order.

    In a folder each image, volume and archive is a case, and so are DICOM files of one study, also in several folders.
    The first file of a folder tells its study. Images beside volumes or DICOM files are previews and left out.

    Args:
        inputs: files and folders.
        out: earlier results below it are left out.
    """
    found = [case for path in inputs for case in _cases_of(path, out)]
    names: set[str] = set()
    cases = []
    for case in found:
        name, number = case.name, 1
        while name.lower() in names:  # some file systems do not tell A from a
            number += 1
            name = f"{case.name}-{number}"
        names.add(name.lower())
        cases.append(replace(case, name=name))
    return cases


def _cases_of(path: Path, out: Path) -> list[Case]:
    own_name = _own_name(path)
    if not path.is_dir():
        return [Case(own_name, path)]
    by_kind, unreadable = list_files(path)
    known = {file for files in by_kind.values() for file in files} | unreadable.keys()
    misnamed = list(_foreign(_misnamed(path, known), out))
    dicom = list(_foreign(by_kind.pop("dicom", []), out))
    images = list(_foreign(by_kind.pop("image", []), out))
    images += [file for file in misnamed if file.suffix.lower() in _IMAGES]
    others = [file for files in by_kind.values() for file in _foreign(files, out)]
    with_volumes = {file.parent for file in (*dicom, *others)}
    others += [file for file in misnamed if file.suffix.lower() not in _IMAGES]
    files = [*others, *(file for file in images if file.parent not in with_volumes)]
    cases = [Case(_name(file, path), file) for file in files] + _studies(dicom, path)
    cases += [Case(_name(place, path), place, problem=reason) for place, reason in unreadable.items()]
    if not cases:
        return [Case(own_name, path, problem=f"{path} holds no PNG, JPEG, NIfTI, MHA, NRRD, ZIP or DICOM file")]
    if len(cases) == 1:
        return [replace(cases[0], name=own_name)]
    return sorted(cases, key=lambda case: (case.path, case.name))


def _misnamed(folder: Path, known: set[Path]) -> Iterator[Path]:
    """Files whose name promises a format that their content is not: damaged ones, which must not be passed over."""
    for root, _, names in os.walk(folder):
        for name in sorted(names):
            promises = name.lower().endswith(_SUFFIXES) and not name.startswith(".")
            if promises and Path(root, name) not in known:
                yield Path(root, name)


def _foreign(files: Iterable[Path], out: Path) -> Iterator[Path]:
    """Files that are not results of an earlier run."""
    results = out.resolve()
    for file in files:
        folder = file.parent.resolve()
        if not (folder.is_relative_to(results) and (folder / RECORD).is_file()):
            yield file


def _studies(files: list[Path], root: Path) -> list[Case]:
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for file in files:
        by_folder[file.parent].append(file)
    by_study: dict[str, list[Path]] = defaultdict(list)
    for folder, inside in by_folder.items():
        by_study[_study_of(inside) or str(folder)].append(folder)
    places = {study: Path(commonpath(folders)) for study, folders in by_study.items()}
    cases = []
    for study, folders in by_study.items():
        shared = sum(place == places[study] for place in places.values()) > 1
        place = folders[0] if shared else places[study]
        of_study = tuple(file for folder in folders for file in by_folder[folder])
        cases.append(Case(_name(place, root), place, of_study))
    return cases


def _study_of(files: list[Path]) -> str:
    """The study of the first file that tells it; empty where none of a few does."""
    from mipseg.io.dicom_file import read_dicom, value  # noqa: PLC0415 # an extra

    for file in files[:5]:
        with suppress(VolumeError):  # damaged ones are named when they are read
            if study := value(read_dicom(file, only=["StudyInstanceUID"]), "StudyInstanceUID"):
                return str(study)
    return ""


def _own_name(path: Path) -> str:
    """The name of an input itself, also of `.` and `..`; links are not followed, since they may form a loop."""
    return without_suffix(Path(abspath(path)).name) or "root"


def _name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).parts
    return without_suffix("_".join(parts)) or _own_name(root)


def without_suffix(name: str) -> str:
    """A file's name without the suffix of a format that is read here."""
    suffix = next((suffix for suffix in _SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)] or name
