"""What every DICOM object that is written here shares: who made it, from which images, and UIDs that repeat."""

from dataclasses import dataclass
from datetime import datetime
from uuid import NAMESPACE_OID, uuid5

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID

from mipseg.io.volume import Source

MANUFACTURER = "MIPseg"
# Attributes that must be there, if only empty; de-identified files leave them out.
_MAY_BE_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "ReferringPhysicianName", "PositionReferenceIndicator",
)  # fmt: skip
_GROUPS = (0x0008, 0x0010, 0x0012, 0x0018, 0x0020, 0x0028)  # identity, patient, geometry
_NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "FrameOfReferenceUID")


@dataclass(frozen=True)
class Maker:
    """What made an object.

    Attributes:
        version: of this package.
        model: the model's name.
        model_sha256: its digest.
        created: when.
        identity: the same text for the same result; makes the UIDs.
    """

    version: str
    model: str
    model_sha256: str
    created: datetime
    identity: str

    def uid(self, name: str) -> UID:
        """A UID that is the same for the same result and another for each name."""
        return _uid(f"{self.identity} {name}")

    def instance_uid(self, name: str) -> UID:
        """A UID of an object or series: another for another run, whose dates differ; one UID means one content."""
        return _uid(f"{self.identity} {self.created.isoformat()} {name}")

    def algorithm(self) -> AlgorithmIdentificationSequence:
        """Name, version and kind of the algorithm."""
        return AlgorithmIdentificationSequence(
            name=f"{MANUFACTURER} {self.model}",
            family=codes.cid7162.ArtificialIntelligence,
            version=self.version,
            source=MANUFACTURER,
            parameters={"model_sha256": self.model_sha256},
        )

    def date(self, dataset: Dataset) -> None:
        """Date an object with the time of the run, in all places."""
        day, moment = self.created.strftime("%Y%m%d"), self.created.strftime("%H%M%S")
        for what in ("Content", "Series", "InstanceCreation"):
            setattr(dataset, f"{what}Date", day)
            setattr(dataset, f"{what}Time", moment)
        for library in dataset.get("ContributingEquipmentSequence", []):
            library.ContributionDateTime = day + moment


def _uid(text: str) -> UID:
    return UID(f"2.25.{uuid5(NAMESPACE_OID, text).int}")


def source_images(source: Source) -> list[Dataset] | str:
    """The slices of a volume as sources of another object.

    Returns:
        Copies that have all attributes that are asked for, and nothing of the acquisition, which would only be copied
        again and again; or why they can't be sources.
    """
    missing = sorted({keyword for keyword in _NEEDED for header in source.headers if not header.get(keyword)})
    if missing:
        return f"the images have no {', '.join(missing)}"
    copies = []
    for header in source.headers:
        copy = Dataset()
        for tag in header.keys():  # noqa: SIM118 # to iterate over the dataset itself would decode every element
            if tag.group in _GROUPS and (element := header.get_item(tag)).VR != "SQ":
                copy[tag] = element
        if not copy.get("SliceThickness"):
            copy.SliceThickness = round(float(np.linalg.norm(source.affine[:3, 0])), 6)
        for keyword in _MAY_BE_EMPTY:
            if keyword not in copy:
                setattr(copy, keyword, None)
        copies.append(copy)
    return copies
