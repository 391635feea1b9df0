"""Which series of many DICOM files is the PET to read: by content, and said."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset

from mipseg.errors import VolumeError
from mipseg.io.dicom_file import DamagedError, read_dicom, value
from mipseg.io.dicom_headers import ENHANCED, PET, numbers, refusal, text, texts

INDEX_TAGS = [
    "AcquisitionTime", "CollimatorType", "Columns", "CorrectedImage", "FrameReferenceTime", "ImageOrientationPatient",
    "ImagePositionPatient", "ImageType", "ManufacturerModelName", "Modality", "NumberOfFrames", "PatientID",
    "PixelSpacing", "RadiopharmaceuticalInformationSequence", "Rows", "SOPClassUID", "SOPInstanceUID",
    "SeriesDescription", "SeriesInstanceUID", "SeriesType", "StudyDescription", "StudyInstanceUID", "Units",
    "DecayCorrection", "FrameOfReferenceUID", "Manufacturer",
]  # fmt: skip
WHOLE_BODY_LEAD = 1.5  # how much longer the whole-body series has to be than any other to be taken without asking
_DIRECTORY = "1.2.840.10008.1.3.10"  # DICOMDIR


@dataclass(frozen=True, eq=False)
class Entry:
    """A file and those of its attributes that tell its series and its place in it."""

    file: Path
    header: Dataset


@dataclass(frozen=True, eq=False)
class Series:
    """The files of one `SeriesInstanceUID`."""

    uid: str
    entries: tuple[Entry, ...]

    @property
    def headers(self) -> list[Dataset]:
        """Of each file."""
        return [entry.header for entry in self.entries]

    @property
    def is_pet(self) -> bool:
        """Whether it is PET, or calls itself so."""
        first = self.headers[0]
        return text(first, "Modality") == "PT" or first.get("SOPClassUID") in (PET, *ENHANCED)

    @property
    def extent_mm(self) -> float:
        """Between its first and last slice; 0 where positions are missing."""
        places = [place for header in self.headers if (place := numbers(header, "ImagePositionPatient", 3))]
        return float(np.linalg.norm(np.ptp(np.array(places), axis=0))) if places else 0.0

    def describe(self) -> str:
        """One series in a list of several; not by its description, which may tell who the patient is."""
        flaw = refusal(self.headers) or ("" if _attenuation_corrected(self) else "not attenuation-corrected")
        flaw = f", {flaw}" if flaw else ""
        return f"{self.uid} ({len(self.entries)} files, {self.extent_mm:.0f} mm{flaw})"


def index_files(files: Iterable[Path]) -> tuple[list[Series], list[Path]]:
    """Group DICOM files by series.

    Returns:
        The series, and the files that are damaged.
    """
    grouped: dict[str, list[Entry]] = defaultdict(list)
    damaged = []
    for file in files:
        try:
            header = read_dicom(file, only=INDEX_TAGS)
        except DamagedError:
            damaged.append(file)
            continue
        uid = text(header, "SeriesInstanceUID")
        is_cut = value(header, "SOPClassUID") == PET and "Columns" not in header
        if uid and not is_cut:
            grouped[uid].append(Entry(file, header))
        elif value(header.file_meta, "MediaStorageSOPClassUID") != _DIRECTORY:
            damaged.append(file)
    return [Series(uid, tuple(entries)) for uid, entries in sorted(grouped.items())], damaged


def choose_series(found: list[Series], wanted: str | None) -> tuple[Series, list[str]]:
    """The PET series to read.

    Args:
        found: all series.
        wanted: the UID of one, or None: the attenuation-corrected PET, of several the whole-body one if it is clearly
            the longest and all are of one study.

    Returns:
        The series, and a warning that says what was passed over.

    Raises:
        VolumeError: there is none, or there are several; lists them.
    """
    if wanted is not None:
        for series in found:
            if series.uid == wanted:
                return series, []
        listed = "; ".join(series.describe() for series in found if series.is_pet)
        raise VolumeError(f"there is no series {wanted}; the PET series are: {listed or 'none'}")
    pets = [series for series in found if series.is_pet and not _is_projection(series)]
    if not pets:
        raise VolumeError(f"there is no PET series, but {_counted(found)}")
    corrected = [series for series in pets if _attenuation_corrected(series) and not refusal(series.headers)]
    candidates = sorted(corrected or pets, key=lambda series: series.extent_mm, reverse=True)
    studies = {(text(s.headers[0], "PatientID"), text(s.headers[0], "StudyInstanceUID")) for s in candidates}
    chosen = candidates[0]
    if len(candidates) > 1 and (
        len(studies) > 1 or chosen.extent_mm < WHOLE_BODY_LEAD * max(1.0, candidates[1].extent_mm)
    ):
        patients = len({patient for patient, _ in studies})
        of = f" of {patients} patients" if patients > 1 else ""
        listed = "; ".join(series.describe() for series in candidates)
        raise VolumeError(f"{len(candidates)} PET series{of}, choose one by its UID (series): {listed}")
    if len(found) == 1:
        return chosen, []
    others = _counted([series for series in found if series is not chosen])
    return chosen, [f"series: {chosen.describe()} was chosen; also there: {others}"]


def _attenuation_corrected(series: Series) -> bool:
    return "ATTN" in texts(series.headers[0], "CorrectedImage")


def _is_projection(series: Series) -> bool:
    """A maximum intensity projection, which scanners save as a PET series of its own."""
    return any("MIP" in part or "PROJ" in part for part in texts(series.headers[0], "ImageType"))


def _counted(found: list[Series]) -> str:
    counts: Counter[str] = Counter()
    for series in found:
        counts[text(series.headers[0], "Modality") or "unknown"] += len(series.entries)
    return ", ".join(f"{kind} ({count} files)" for kind, count in sorted(counts.items())) or "no image"
