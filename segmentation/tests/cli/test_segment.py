"""`mipseg segment`, with a stub for the model: files, numbers, errors, exit codes, what is done a second time."""

import csv
import gc
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as PillowImage
from pydicom import dcmread

import mipseg.engines.segment_case as module
from mipseg.model.folder import read_config
from mipseg.model.segmenter import MODELS
from mipseg.settings import Settings
from tests.cli.conftest import Command
from tests.io.pet_files import AFFINE, make_ct, make_slices, write_slices
from tests.volumes import ball

PNGS = ("mip.png", "mask.png", "overlay.png", "probability.png")
VOLUME_PNGS = (*PNGS, "rotation.png", "rotation_lesions.png")


def _names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def _voxels(file: Path) -> npt.NDArray[Any]:
    return np.asarray(nib.Nifti1Image.from_filename(file).dataobj)


def test_image(mipseg: Command, image: Path, tmp_path: Path) -> None:
    answer = mipseg("segment", image, "-o", tmp_path / "out")
    folder = tmp_path / "out" / "patient_7"
    assert (answer.code, answer.stderr) == (0, "")
    (line,) = answer.lines
    assert (line["case"], line["status"], line["lesions"], line["total_mtv_ml"]) == ("patient_7", "done", 1, None)
    assert _names(folder) == {*PNGS, "measurements.json"}
    mask = np.asarray(PillowImage.open(folder / "mask.png"))
    assert (mask.sum(), set(np.unique(mask))) == (20 * 255, {0, 255})
    assert np.array_equal(np.asarray(PillowImage.open(folder / "mip.png")), np.asarray(PillowImage.open(image)))
    assert tuple(np.asarray(PillowImage.open(folder / "overlay.png"))[39, 160]) == (213, 94, 0)
    probability = np.asarray(PillowImage.open(folder / "probability.png"))
    assert (probability.dtype.name, probability.tolist()) == ("uint8", mask.tolist())  # the stub is always certain
    assert line["mask_sha256"] == hashlib.sha256((mask // 255).tobytes()).hexdigest()
    lesion = json.loads((folder / "measurements.json").read_text())["lesions"][0]
    assert (lesion["area_px"], lesion["area_mm2"], lesion["suv_max"]) == (20, None, None)
    assert lesion["reasons"]["suv_max"] == "a PNG or JPEG shows shares of a window, not SUV"


def test_volume(mipseg: Command, volume: Path, tmp_path: Path) -> None:
    answer = mipseg("segment", volume, "-o", tmp_path / "out", "--formats", "png,nifti,suv")
    assert (answer.code, answer.stderr) == (0, "")
    folder = tmp_path / "out" / "ball"
    assert _names(folder) == {*VOLUME_PNGS, "mask.nii.gz", "suv.nii.gz", "measurements.json"}
    truth = ball((40, 40, 40), (25, 20, 12), 12.0)
    mask, suv = _voxels(folder / "mask.nii.gz"), _voxels(folder / "suv.nii.gz")
    assert mask.dtype == np.uint8
    assert np.array_equal(mask, truth)
    assert np.array_equal(suv, _voxels(volume))
    record = json.loads((folder / "measurements.json").read_text())
    (lesion,) = record["lesions"]
    assert lesion["mtv_ml"] == pytest.approx(truth.sum() * 0.064)
    assert (lesion["suv_max"], lesion["suv_mean"]) == (10, 10)
    assert lesion["centroid_mm"] == pytest.approx([48, 80, 100])
    # 5.5 voxels of 4 mm above the middle of 80 rows of 2 mm, 7.5 to the right of the patient from that of 400 columns
    assert lesion["mip_px"] == [39.5 - 5.5 * 2, 199.5 - 7.5 * 2]
    assert np.argwhere(np.asarray(PillowImage.open(folder / "mask.png"))).mean(axis=0) == pytest.approx([28.5, 184.5])
    rotation = {name: record["rotation"][name] for name in ("angles", "frames", "columns", "pixel_mm")}
    assert rotation == {"angles": 36, "frames": 18, "columns": 6, "pixel_mm": [4, 4]}
    height, width = record["rotation"]["frame_px"]
    grey, number = (np.asarray(PillowImage.open(folder / name)) for name in VOLUME_PNGS[-2:])
    assert grey.shape == number.shape == (3 * height, 6 * width)
    rows, columns = slice(height, 2 * height), slice(3 * width, 4 * width)  # frame 9, from the patient's left
    assert np.array_equal(number[rows, columns] == 1, grey[rows, columns] == 0)
    assert np.argwhere(number[rows, columns] == 1).mean(axis=0)[0] == pytest.approx(39 - 25)
    colours = PillowImage.open(folder / "rotation_lesions.png").convert("RGBA").getcolors()
    assert {colour for _, colour in colours or []} == {(0, 0, 0, 0), (213, 94, 0, 255)}
    assert record["patient"]["dmax_mm"] is None
    assert record["patient"]["reasons"]["dmax_mm"] == "two lesions are needed"


def test_dicom_gets_its_segmentation(mipseg: Command, tmp_path: Path) -> None:
    voxels = np.full((20, 24, 28), 1000, np.int16)
    voxels[12:16, 4:8, 20:24] = 15000
    folder = write_slices(tmp_path / "pet", make_slices(voxels, AFFINE))
    answer = mipseg("segment", folder, "-o", tmp_path / "out")
    assert answer.lines[0]["files"] == [*VOLUME_PNGS, "mask.nii.gz", "seg.dcm", "report.dcm", "measurements.json"]
    segmentation = dcmread(tmp_path / "out" / "pet" / "seg.dcm")
    assert segmentation.pixel_array.sum() == 4 * 4 * 4
    record = json.loads((tmp_path / "out" / "pet" / "measurements.json").read_text())
    assert record["lesions"][0]["suv_max"] == pytest.approx(15.0)
    assert record["not_written"] == {}


def test_dicom_without_a_lesion_gets_a_report_that_says_so(mipseg: Command, tmp_path: Path) -> None:
    folder = write_slices(tmp_path / "pet", make_slices(np.full((20, 24, 28), 500, np.int16), AFFINE))
    answer = mipseg("segment", folder, "-o", tmp_path / "out")
    assert answer.lines[0]["files"] == [*VOLUME_PNGS, "mask.nii.gz", "report.dcm", "measurements.json"]
    assert dcmread(tmp_path / "out" / "pet" / "report.dcm").Modality == "SR"
    record = json.loads((tmp_path / "out" / "pet" / "measurements.json").read_text())
    assert record["not_written"] == {
        "seg.dcm": "no lesion was found, and a segmentation without segments is not valid DICOM; report.dcm says so"
    }


def test_table_holds_a_row_for_each_patient_and_lesion(
    mipseg: Command, image: Path, volume: Path, tmp_path: Path
) -> None:
    for path in (image, volume):  # one at a time: a single case stays in this process, where the stub is
        mipseg("segment", path, "-o", tmp_path / "out")
        with (tmp_path / "out" / "measurements.csv").open() as stream:
            patient, lesion = csv.DictReader(stream)
        assert (patient["row"], patient["lesions"], patient["lesion"]) == ("patient", "1", "")
        assert (lesion["row"], lesion["lesion"]) == ("lesion", "1")
    assert (lesion["suv_max"], lesion["centroid_z_mm"], lesion["area_px"]) == ("10.0", "100.0", "")
    assert patient["total_mtv_ml"] == lesion["mtv_ml"]
    assert "dmax_mm: two lesions are needed" in patient["reasons"]


def test_second_run_skips_what_is_done(
    mipseg: Command, volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = "segment", volume, "-o", tmp_path / "out"
    first = mipseg(*arguments).lines[0]
    assert first["status"] == "done"
    second = mipseg(*arguments).lines[0]
    assert second == first | {"status": "skipped", "seconds": {}}
    assert mipseg(*arguments, "--force").lines[0]["status"] == "done"
    assert mipseg(*arguments, "--grow", "suv4").lines[0]["status"] == "done"
    (tmp_path / "out" / "ball" / "mask.nii.gz").unlink()
    assert mipseg(*arguments, "--grow", "suv4").lines[0]["status"] == "done"
    volume.write_bytes(volume.read_bytes() + b"\0")
    assert mipseg(*arguments, "--grow", "suv4").lines[0]["status"] == "done"
    monkeypatch.setenv("MIPSEG_MIN_PATIENT", "0.3")
    assert mipseg(*arguments, "--grow", "suv4").lines[0]["status"] == "done"


def test_files_of_formats_that_are_not_wanted_any_more_go(mipseg: Command, volume: Path, tmp_path: Path) -> None:
    mipseg("segment", volume, "-o", tmp_path / "out")
    mipseg("segment", volume, "-o", tmp_path / "out", "--formats", "nifti")
    assert _names(tmp_path / "out" / "ball") == {"mask.nii.gz", "measurements.json"}


def test_report(mipseg: Command, volume: Path, tmp_path: Path) -> None:
    mipseg("segment", volume, "-o", tmp_path / "out", "--report", tmp_path / "run.json")
    report = json.loads((tmp_path / "run.json").read_text())
    name, folder = Settings().model, MODELS / Settings().model
    assert report["model"]["name"] == name
    assert report["model"]["sha256"] == read_config(folder).sha256
    assert report["model"]["files"] == {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.glob("*.onnx")
    }
    assert report["runtime"] == "onnxruntime float32"
    assert report["libraries"]["numpy"] == np.__version__
    mask = _voxels(tmp_path / "out" / "ball" / "mask.nii.gz")
    (case,) = report["cases"]
    assert case["mask_sha256"] == hashlib.sha256(np.ascontiguousarray(mask).tobytes()).hexdigest()
    assert set(case["seconds"]) == {"read", "segment", "write", "total"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing option '--out'"),
        (("-o", "out", "--formats", "png,pdf"), "pdf: must be of png, nifti, seg, sr, suv"),
        (("-o", "out", "--grow", "50%max"), "'50%max': must be of 41%max, suv4, liver"),
        (("-o", "out", "--window", "0"), "be greater than or equal to 0.000001"),
        (("-o", "out", "--unit", "kg"), "'kg' is not one of 'suv', 'bqml'"),
        (("-o", "out", "--address", "head:6379"), "needs --engine ray"),
        (("-o", "out", "--engine", "dask"), "'dask' is not one of 'local', 'ray'"),
        (("-o", "/dev/null/out"), "can't make the output folder /dev/null/out: Not a directory"),
    ],
)
def test_wrong_use(mipseg: Command, volume: Path, arguments: tuple[str, ...], said: str) -> None:
    answer = mipseg("segment", volume, *arguments)
    assert (answer.code, answer.stdout) == (2, "")
    assert said in " ".join(answer.stderr.replace("│", " ").split())


def _bad_inputs(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "cut.nii.gz").write_bytes(b"\x1f\x8b\x08")
    return {
        "holds no PNG, JPEG, NIfTI, MHA, NRRD, ZIP or DICOM file": tmp_path / "empty",
        "No such file or directory": tmp_path / "missing",
        "text.png is neither DICOM": tmp_path / "text.png",
        "cut.nii.gz is neither DICOM": tmp_path / "cut.nii.gz",
        "there is no PET series, but CT (3 files)": write_slices(tmp_path / "ct", make_ct()),
    }


def test_bad_input_is_named_in_one_line(mipseg: Command, tmp_path: Path) -> None:
    for said, path in _bad_inputs(tmp_path).items():
        answer = mipseg("segment", path, "-o", tmp_path / "out")
        assert answer.code == 1
        (line,) = answer.lines
        assert (line["status"], line["case"]) == ("failed", path.name.split(".")[0])
        assert said in line["error"]
        assert answer.stderr.splitlines() == [
            f"failed: {line['case']}: {line['error']}",
            "error: 1 of 1 cases failed",
        ]
    assert _names(tmp_path / "out") == {"measurements.csv"}


def test_results_never_go_into_the_input(mipseg: Command, tmp_path: Path) -> None:
    folder = write_slices(tmp_path / "study", make_ct())
    before = _names(folder)
    answer = mipseg("segment", folder, "-o", tmp_path)
    assert "the results would go into the input" in answer.lines[0]["error"]
    assert _names(folder) == before


@pytest.mark.parametrize("options", [(), ("--force",)])
def test_a_reference_that_lies_where_results_would_go_stays(
    mipseg: Command, volume: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "ball").mkdir()
    (tmp_path / "ball" / "mask.nii.gz").write_bytes(b"drawn by hand")
    answer = mipseg("segment", volume, "-o", tmp_path, *options)
    assert answer.code == 1
    assert "ball holds mask.nii.gz but no measurements.json" in answer.lines[0]["error"]
    assert [file.read_bytes() for file in (tmp_path / "ball").iterdir()] == [b"drawn by hand"]


def test_a_table_of_somebody_else_stays(mipseg: Command, volume: Path, tmp_path: Path) -> None:
    (tmp_path / "measurements.csv").write_text("patient,weight\n")
    answer = mipseg("segment", volume, "-o", tmp_path)
    assert answer.code == 2
    assert answer.stderr == (
        f"error: {tmp_path / 'measurements.csv'} is not of an earlier run; choose another output folder\n"
    )
    assert (tmp_path / "measurements.csv").read_text() == "patient,weight\n"


def test_full_disk_is_named_and_leaves_nothing(
    mipseg: Command, volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "mask.nii.gz")

    monkeypatch.setattr(module, "write_json", full)
    answer = mipseg("segment", volume, "-o", tmp_path / "out")
    assert answer.code == 1
    assert answer.lines[0]["error"] == "No space left on device: mask.nii.gz"
    assert _names(tmp_path / "out") == {"measurements.csv"}


def test_missing_extra_is_named(mipseg: Command, volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("no", name="nibabel")

    monkeypatch.setattr(module, "read_volume", missing)
    answer = mipseg("segment", volume, "-o", tmp_path / "out")
    assert answer.lines[0]["error"] == (
        "the package nibabel is missing, which volumes need: pip install 'mipseg[volume]'"
    )


def test_missing_ray_is_named(mipseg: Command, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    answer = mipseg("segment", image, "-o", tmp_path / "out", "--engine", "ray")
    assert (answer.code, answer.stdout) == (2, "")
    assert answer.stderr == "error: the package ray is missing: pip install 'mipseg[ray]'\n"


def test_volume_without_suv_needs_a_window(mipseg: Command, volume: Path, tmp_path: Path) -> None:
    arguments = "segment", volume, "-o", tmp_path / "out", "--unit", "bqml"
    answer = mipseg(*arguments)
    assert answer.code == 1
    assert "no SUV" in answer.lines[0]["error"]
    answer = mipseg(*arguments, "--window", "6")
    assert answer.code == 0
    record = json.loads((tmp_path / "out" / "ball" / "measurements.json").read_text())
    assert (record["lesions"][0]["suv_max"], record["patient"]["total_tlg_g"]) == (None, None)


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_rests_while_a_case_is_worked_on(
    enabled: bool, mipseg: Command, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, work = [], module._segment

    def spy(*arguments: Any) -> Any:
        seen.append(gc.isenabled())
        return work(*arguments)

    monkeypatch.setattr(module, "_segment", spy)
    (gc.enable if enabled else gc.disable)()
    try:
        assert mipseg("segment", image, "-o", tmp_path / "out").code == 0
        assert (seen, gc.isenabled()) == ([False], enabled)
    finally:
        gc.enable()
