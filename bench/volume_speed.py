"""Seconds and memory from a whole-body volume on disk to all outputs, step by step: tables in Markdown.

`uv run --all-packages python bench/volume_speed.py [input]`; without one, a phantom of 400 x 400 x 550 voxels as DICOM.
Where other programs share the cores, compare processor seconds.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, PositronEmissionTomographyImageStorage, generate_uid
from scipy import ndimage

from mipseg.engines.outputs import write_volume
from mipseg.engines.plan import Options, Plan, Provenance
from mipseg.growing import grow
from mipseg.io.read import read_volume
from mipseg.measure.lesions_3d import label_lesions, measure_volume
from mipseg.measure.patient import measure_patient
from mipseg.measure.regions import find_references
from mipseg.model.segmenter import load_segmenter
from mipseg.phantom import SPACING_MM, make_volume_phantom
from mipseg.projection import project
from mipseg.settings import Settings
from mipseg.types import Origin
from mipseg.volume_pipeline import VolumeResult

Made = TypeVar("Made")
SHAPE, SIDE_MM = (550, 400, 400), 2.0
SEED = 1014
# 70 kg and 70 MBq, corrected to the injection: SUV = Bq/ml / 1000.
PATIENT = {"PatientID": "phantom", "PatientName": "Phantom^", "PatientWeight": 70.0}
PET = {
    "SOPClassUID": PositronEmissionTomographyImageStorage, "Modality": "PT", "Units": "BQML",
    "DecayCorrection": "ADMIN", "CorrectedImage": ["ATTN", "DECY"], "SeriesType": ["WHOLE BODY", "IMAGE"],
    "RescaleIntercept": 0,
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [SIDE_MM, SIDE_MM], "SliceThickness": SIDE_MM,
    "Rows": SHAPE[1], "Columns": SHAPE[2], "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2",
    "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1,
}  # fmt: skip
PUBLISHED = """\
| program | input | machine | time | memory |
|---|---|---|---|---|
| TotalSegmentator 3.0.0, `total` | CT, 512 x 512 x 807 | GeForce RTX 3090 | 105 s | 8.6 GB, GPU 7.1 GB |
| the same | the same | Core i9-9900X, 10 cores | 872 s | 8.8 GB |
| the same, `--fast` | the same | GeForce RTX 3090 | 25 s | 5.6 GB, GPU 3.4 GB |
| the same, `--fast` | the same | Core i9-9900X, 10 cores | 57 s | 6.5 GB |
| LION 1.0 | PET | none is named | none is published | 32 GB are recommended |

TotalSegmentator: its `resources/runtime.md`; it segments 117 structures in 3-D from CT. LION: its README."""


def main() -> None:
    """Draw, write, measure."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[1]) if len(sys.argv) > 1 else write_phantom(Path(folder) / "phantom")
        steps(path, Path(folder) / "steps")
        whole(path, Path(folder) / "out")
    print(f"\nWhat others publish, for other tasks on other machines:\n\n{PUBLISHED}")


def write_phantom(folder: Path) -> Path:
    """A phantom as a DICOM series of its largest size, each slice with its own slope."""
    folder.mkdir()
    body = make_volume_phantom(SEED, height=SHAPE[0]).suv
    body = ndimage.zoom(body, [side / SIDE_MM for side in SPACING_MM], order=1)
    margins = [((wanted - own) // 2, (wanted - own + 1) // 2) for wanted, own in zip(SHAPE, body.shape, strict=True)]
    for number, plane in enumerate(np.pad(body, margins)):
        _slice(number, plane * 1000).save_as(folder / f"{number}", enforce_file_format=True)
    return folder


def _slice(number: int, activity: npt.NDArray[np.float32]) -> Dataset:
    header, tracer = Dataset(), Dataset()
    for keyword, value in (PATIENT | PET).items():
        setattr(header, keyword, value)
    for name in ("Study", "Series"):
        setattr(header, f"{name}InstanceUID", generate_uid(entropy_srcs=[name]))
    header.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame"])
    header.SOPInstanceUID = generate_uid(entropy_srcs=["slice", str(number)])
    header.SeriesDate = header.AcquisitionDate = "20250101"
    header.SeriesTime = header.AcquisitionTime = "110000"
    tracer.RadionuclideTotalDose, tracer.RadionuclideHalfLife = 70e6, 6586.2
    header.RadiopharmaceuticalInformationSequence = [tracer]
    header.ImagePositionPatient = [-SHAPE[2] * SIDE_MM / 2, -SHAPE[1] * SIDE_MM / 2, number * SIDE_MM]
    header.RescaleSlope = float(f"{max(float(activity.max()), 1.0) / 32000:.8g}")
    header.PixelData = np.rint(activity / header.RescaleSlope).astype("<i2").tobytes()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    return header


def steps(path: Path, folder: Path) -> None:
    """Time each step in this process, which has imported everything already."""
    folder.mkdir()
    print("| step | seconds | of processors |\n|---|---|---|")
    volume = timed("reading", lambda: read_volume(path))
    mip = timed("projection", lambda: project(volume))
    segmenter = load_segmenter()
    timed("networks: loading", segmenter.load)
    timed("networks: first image", lambda: segmenter.segment(mip.intensity))
    segmentation = timed("networks", lambda: segmenter.segment(mip.intensity))
    labels = timed("growing", lambda: label_lesions(grow(volume, mip, segmentation.tumour)))
    lesions = timed("measuring", lambda: measure_volume(volume, labels))
    references = timed("liver", lambda: find_references(volume))
    origins: dict[int, Origin] = {lesion.id: "automatic" for lesion in lesions}
    result = VolumeResult(mip, segmentation, labels, lesions, measure_patient(lesions), references, origins, [])
    plan = Plan(folder, Settings(), Options(), Provenance("0", "model", "0" * 64, "-"), datetime.now(UTC))
    timed("writing", lambda: write_volume(folder, volume, result, plan, "bench"))


def timed(name: str, step: Callable[[], Made]) -> Made:
    """Print how long a step takes on the clock and on the processors."""
    wall, cpu = time.perf_counter(), time.process_time()
    made = step()
    print(f"| {name} | {time.perf_counter() - wall:.2f} | {time.process_time() - cpu:.2f} |")
    return made


def whole(path: Path, out: Path) -> None:
    """Time the command, start-up included, and its peak memory."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "mipseg.cli.main", "segment", str(path), "-o", str(out)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, check=False)  # noqa: S603 # this very program
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    outcome = json.loads(ended.stdout)
    if outcome["status"] != "done":
        sys.exit(outcome["error"])
    wall = time.perf_counter() - start
    print(f"| **`mipseg segment`, all of it** | {wall:.2f} | {used.ru_utime + used.ru_stime:.2f} |")
    files = ", ".join(outcome["files"])
    print(
        f"\n{os.cpu_count()} cores; peak memory {used.ru_maxrss / 1024:.0f} MiB; {outcome['lesions']} lesions; {files}"
    )


if __name__ == "__main__":
    main()
