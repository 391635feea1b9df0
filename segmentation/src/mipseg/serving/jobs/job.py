"""What is known about a job, and what its client is told."""

import mimetypes
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from mipseg.engines.plan import Options

State = Literal["queued", "running", "done", "failed", "cancelled"]
UPLOAD, CORRECTION, TEMPORARY = "upload", "correction.png", "tmp"  # in the folder of a job
_TYPES = {".nii.gz": "application/gzip", ".dcm": "application/dicom"}  # beside those that Python knows


class ResultFile(BaseModel):
    """A file of results."""

    name: str = Field(examples=["mask.nii.gz"])
    size: int = Field(description="bytes", examples=[19233])
    type: str = Field(description="media type", examples=["application/gzip"])


class JobProblem(BaseModel):
    """Why a job failed."""

    code: str = Field(description="short stable name, for programs", examples=["invalid-volume"])
    title: str = Field(description="what the code means", examples=["The volume can't be read"])
    detail: str = Field(description="what is wrong, for people", examples=["upload holds no DICOM, NIfTI or MHA file"])


class JobAnswer(BaseModel):
    """A job as its client sees it."""

    id: str = Field(description="a secret: who knows it may read and delete the job", examples=["0" * 32])
    state: State
    progress: float = Field(ge=0, le=1, description="0 to 1", examples=[0.35])
    doing: str = Field(description="what is being done, in words", examples=["finding and measuring lesions"])
    created: AwareDatetime
    expires: AwareDatetime | None = Field(description="when it is forgotten and its files go; null before its end")
    files: tuple[ResultFile, ...] = Field(description="of a job that is done, at result/{name}")
    problem: JobProblem | None = Field(
        description="of a job that failed; of one that is done, why its last correction was not made"
    )
    corrections: int = Field(description="how many corrected masks came; its files are those of the last", examples=[0])


class Job(BaseModel):
    """A job as it is kept.

    Attributes:
        id: also the name of its folder.
        state: see `State`.
        created: when it came; in the DICOM files.
        options: of the command.
        room: bytes on disk that are counted for it.
        interruptions: how often it was running when the service ended without warning.
        ended: when it was done, failed or was cancelled.
        files: its results; while a correction is made, those from before.
        problem: why it failed, or why the last correction did.
        progress: 0 to 1.
        doing: what is being done.
        corrections: how many corrected masks came, without those that failed.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    state: State = "queued"
    created: datetime
    options: Options
    room: int
    interruptions: int = 0
    ended: datetime | None = None
    files: tuple[ResultFile, ...] = ()
    problem: JobProblem | None = None
    progress: float = 0.0
    doing: str = "waiting for its turn"
    corrections: int = 0

    @property
    def results(self) -> str:
        """The folder of results in that of the job: of the next ones until they are there."""
        return f"results-{self.corrections}"


def type_of(name: str) -> str:
    """The media type of a file of results."""
    known = next((kind for suffix, kind in _TYPES.items() if name.endswith(suffix)), mimetypes.guess_type(name)[0])
    return known or "application/octet-stream"
