"""What the process of a job does, called in this one with a stub for the model."""

import hashlib
import io
import json
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread

from mipseg.engines.cases import Case
from mipseg.engines.plan import Options, Plan, provenance
from mipseg.engines.segment_case import segment_case
from mipseg.errors import ModelError
from mipseg.io.mask_png import encode_png
from mipseg.serving.jobs import worker
from mipseg.serving.jobs.job import TEMPORARY
from mipseg.serving.jobs.worker import Message, Order, work
from mipseg.settings import Settings
from tests.cli.stub import HotSpots
from tests.io.pet_files import AFFINE, make_slices, write_nifti, write_slices
from tests.volumes import ball

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
Run = Callable[..., list[Message]]


def hot_slices() -> list[Dataset]:
    voxels = np.full((20, 24, 28), 1000, np.int16)
    voxels[12:16, 4:8, 20:24] = 15000
    return make_slices(voxels, AFFINE)


def zip_of(folder: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"any/{file.name}")
    return packed.getvalue()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Does an upload's work; all messages."""
    for module in ("mipseg.engines.plan", "mipseg.engines.segment_case"):
        monkeypatch.setattr(f"{module}.load_segmenter", lambda _: HotSpots())

    def do(content: bytes, correction: Path | None = None, **options: object) -> list[Message]:
        folder = tmp_path / "job"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "upload").write_bytes(content)
        messages: list[Message] = []
        order = {
            "folder": folder,
            "out": folder / "results-0",
            "correction": correction,
            "created": CREATED,
            "options": options,
            "settings": Settings(),
        }
        work(Order.model_validate(order), messages.append)
        return messages

    return do


def test_the_files_are_the_command_s_byte_for_byte(run: Run, tmp_path: Path) -> None:
    content = zip_of(write_slices(tmp_path / "pet", hot_slices()))
    *steps, last = run(content, formats=("png", "nifti", "seg", "sr", "suv"))
    assert [(step.progress, step.doing) for step in steps] == [
        (0.1, "reading the volume"),
        (0.35, "finding and measuring lesions"),
        (0.7, "writing the results"),
    ]
    assert last.files is not None
    types = {file.name: file.type for file in last.files}
    names = ("mip.png", "mask.png", "overlay.png", "probability.png", "rotation.png", "rotation_lesions.png")
    pngs = dict.fromkeys(names, "image/png")
    assert types == pngs | {
        "mask.nii.gz": "application/gzip",
        "suv.nii.gz": "application/gzip",
        "seg.dcm": "application/dicom",
        "report.dcm": "application/dicom",
        "measurements.json": "application/json",
        "measurements.csv": "text/csv",
    }
    (tmp_path / "upload").write_bytes(content)
    settings, options = Settings(), Options(("png", "nifti", "seg", "sr", "suv"))
    plan = Plan(tmp_path / "out", settings, options, provenance(settings), CREATED)
    assert segment_case(Case("upload", tmp_path / "upload"), plan).status == "done"
    for file in last.files:
        found = (tmp_path / "job/results-0/upload" / file.name).read_bytes()
        assert len(found) == file.size
        if file.name != "measurements.csv":
            assert found == (tmp_path / "out/upload" / file.name).read_bytes()


def test_a_corrected_mask_changes_every_file_that_shows_it(run: Run, tmp_path: Path) -> None:
    content = zip_of(write_slices(tmp_path / "pet", hot_slices()))
    run(content)
    folder = tmp_path / "job/results-0/upload"
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert [lesion["origin"] for lesion in json.loads(before["measurements.json"])["lesions"]] == ["automatic"]
    mask = np.asarray(Image.open(io.BytesIO(before["mask.png"]))) != 0
    mask[2:6, mask.shape[1] // 2 : mask.shape[1] // 2 + 5] = True  # beside the model's
    correction = tmp_path / "correction.png"
    correction.write_bytes(encode_png(mask))
    last = run(content, correction)[-1]
    assert last.files is not None
    after = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert {file.name for file in last.files} == before.keys() == after.keys()
    alike = {"mip.png", "probability.png", "rotation.png"}
    assert {name for name in before if before[name] == after[name]} == alike
    np.testing.assert_array_equal(np.asarray(Image.open(folder / "mask.png")) != 0, mask)
    record = json.loads(after["measurements.json"])
    assert [lesion["origin"] for lesion in record["lesions"]] == ["semiautomatic", "manual"]
    assert record["correction_sha256"] == hashlib.sha256(correction.read_bytes()).hexdigest()
    assert "corrected: the mask was corrected by hand" in record["warnings"]
    segments = dcmread(folder / "seg.dcm").SegmentSequence
    assert [segment.SegmentAlgorithmType for segment in segments] == ["SEMIAUTOMATIC", "MANUAL"]
    assert dcmread(io.BytesIO(before["seg.dcm"])).SOPInstanceUID != dcmread(folder / "seg.dcm").SOPInstanceUID


def test_a_mask_from_which_all_was_removed_leaves_no_lesion(run: Run, tmp_path: Path) -> None:
    content, folder = zip_of(write_slices(tmp_path / "pet", hot_slices())), tmp_path / "job/results-0/upload"
    run(content)
    correction = tmp_path / "correction.png"
    correction.write_bytes(encode_png(np.zeros(np.asarray(Image.open(folder / "mask.png")).shape, bool)))
    last = run(content, correction)[-1]
    assert last.files is not None
    assert "seg.dcm" not in {file.name for file in last.files}
    assert json.loads((folder / "measurements.json").read_text())["patient"]["lesions"] == 0


def test_the_options_reach_the_command(run: Run, tmp_path: Path) -> None:
    voxels = np.full((40, 40, 40), 1000, np.float32)
    voxels[ball((40, 40, 40), (25, 20, 12), 12.0)] = 10000
    affine = np.diag([4.0, 4, 4, 1])[[2, 1, 0, 3]]
    content = write_nifti(tmp_path / "ball.nii", voxels, affine).read_bytes()
    last = run(content, formats=("suv",), unit="bqml", weight_kg=70, dose_bq=70e6)[-1]
    assert last.files is not None
    assert [file.name for file in last.files] == ["suv.nii.gz", "measurements.json", "measurements.csv"]
    assert '"suv_max": 10.0' in (tmp_path / "job/results-0/upload/measurements.json").read_text()


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"NRRD0004\n", "upload is not a sound image file; its header has no end"),
        (b"PK\x03\x04 cut off", "upload is not a sound ZIP archive; it may be cut off"),
        (b"\x02\0\0\0UL\x04\0cut", "all 1 DICOM files are damaged, such as upload"),
    ],
)
def test_a_bad_volume_is_a_problem_for_its_client(run: Run, content: bytes, detail: str) -> None:
    last = run(content)[-1]
    assert (last.code, last.files, last.trace) == ("invalid-volume", None, "")
    assert last.detail.startswith(detail)


@pytest.mark.parametrize(
    ("error", "code", "detail"),
    [
        (KeyError("Doe^John"), "job-failed", "the volume made the program fail; see the log"),
        (MemoryError(), "job-failed", "out of memory"),
        (ModelError("/models/a is damaged"), "model-unavailable", "the model can't be loaded; see the log"),
    ],
)
def test_other_errors_tell_the_log_where_and_nobody_what(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str, detail: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(worker, "segment_or_raise", fail)
    (last,) = run(b"NRRD0004\n")
    assert (last.code, last.detail) == (code, detail)
    assert last.trace.startswith(f"{type(error).__name__} in test_worker.py, line ")
    assert "Doe" not in last.model_dump_json()


def test_no_path_of_this_machine_is_told(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "job" / "results-0/mask.png"))

    monkeypatch.setattr(worker, "segment_or_raise", fail)
    (last,) = run(b"NRRD0004\n")
    assert last.detail == "No space left on device: results-0/mask.png"


def test_damaged_dicom_always_ends_in_a_message(run: Run, tmp_path: Path) -> None:
    folder, random = write_slices(tmp_path / "pet", hot_slices()[:3]), np.random.default_rng(0)
    whole = {file: file.read_bytes() for file in folder.iterdir()}
    codes = set()
    for _ in range(20):
        for file, content in whole.items():
            damaged = bytearray(content)
            for place in random.integers(128, 1500, 3):
                damaged[place] = random.integers(256)
            file.write_bytes(damaged[: random.integers(1000, 3000)])
        last = run(zip_of(folder))[-1]
        assert bool(last.code) != (last.files is not None)
        codes.add(last.code)
    assert "invalid-volume" in codes


def test_what_the_process_writes_is_its_user_s_alone(tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(b"NRRD0004\n")
    order = Order(folder=tmp_path, out=tmp_path / "out", created=CREATED, options=Options(), settings=Settings())
    command = (sys.executable, "-m", "mipseg.serving.jobs.worker")
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        print(order.model_dump_json(), file=process.stdin, flush=True)
        assert [Message.model_validate_json(line).code for line in process.stdout][-1] == "invalid-volume"
    assert stat.S_IMODE((tmp_path / TEMPORARY).stat().st_mode) == 0o700
