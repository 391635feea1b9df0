"""The files of a case, and its measurements as plain values."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mipseg.engines.cases import PROJECTION
from mipseg.engines.plan import Options, Plan
from mipseg.engines.rotation_files import INTENSITY, LESIONS, write_rotation
from mipseg.io.arrays import image_of_intensity, image_of_probability
from mipseg.io.find import FileKind
from mipseg.io.volume import Volume
from mipseg.io.write import write_nifti, write_png
from mipseg.measure.lesions_2d import Lesion
from mipseg.pipeline import Result
from mipseg.projection import Mip
from mipseg.report.figure import overlay_image
from mipseg.types import BinaryMask, GreyImage, Probability
from mipseg.volume_pipeline import VolumeResult

FILES = (
    *(PROJECTION, "mask.png", "overlay.png", "probability.png", INTENSITY, LESIONS),
    *("mask.nii.gz", "suv.nii.gz", "seg.dcm", "report.dcm"),
)
NO_SUV = "a PNG or JPEG shows shares of a window, not SUV"
NO_SEGMENT = "no lesion was found, and a segmentation without segments is not valid DICOM; report.dcm says so"
MAX_REPORTED = 500  # lesions in report.dcm: each takes 15 ms, and nobody reads thousands
NO_SPACING = "the size of an image's pixels is not known"
_IMAGE_REASONS = {
    "area_mm2": NO_SPACING,
    **dict.fromkeys(("suv_max", "suv_mean", "suv_peak", "tlg_g"), NO_SUV),
    **dict.fromkeys(("mtv_ml", "centroid_mm"), "an image has no depth"),
}
_PATIENT_REASONS = {
    "total_mtv_ml": "an image has no depth",
    **dict.fromkeys(("total_tlg_g", "suv_max", "suv_peak"), NO_SUV),
    **dict.fromkeys(("dmax_mm", "sdmax_per_m"), "an image has no depth"),
}


def write_image(folder: Path, mip: GreyImage, result: Result, options: Options) -> dict[str, Any]:
    """Write the files of a PNG or JPEG.

    Args:
        folder: where they go.
        mip: (H, W) uint8, the image.
        result: what was found in it.
        options: which files.

    Returns:
        What `measurements.json` says of them.
    """
    if "png" in options.formats:
        _write_pngs(folder, mip, result.tumour, result.probability)
    lesions = [_image_lesion(lesion) for lesion in result.lesions]
    return {
        "kind": "image",
        "has_tumour": result.has_tumour,
        "patient": {"lesions": len(lesions), **dict.fromkeys(_PATIENT_REASONS), "reasons": _PATIENT_REASONS},
        "lesions": lesions,
        "references": None,
        "rotation": None,
        "warnings": list(result.warnings),
        "mask_sha256": hashlib.sha256(result.tumour.astype(np.uint8).tobytes()).hexdigest(),
        "files": _listed(folder),
        "not_written": {},
    }


def import_writers(kind: FileKind, options: Options) -> None:
    """Import what writes the files of a volume, which takes a second: beside other work, before they are written."""
    if "nifti" in options.formats:
        import_module("nibabel")
    if kind == "dicom" and {"seg", "sr"} & {*options.formats}:
        import_module("mipseg.io.dicom_sr")


def write_volume(folder: Path, volume: Volume, result: VolumeResult, plan: Plan, identity: str) -> dict[str, Any]:
    """Write the files of a volume.

    Args:
        folder: where they go.
        volume: the input.
        result: what was found in it.
        plan: which files, and what made them.
        identity: the same text for the same result; makes the UIDs.

    Returns:
        What `measurements.json` says of them; `not_written` has the reason for each file that there can't be.
    """
    formats, rotation = plan.options.formats, None
    mask = (result.labels > 0).view(np.uint8)
    with ThreadPoolExecutor(1) as beside:
        dicom = beside.submit(_write_dicom, folder, volume, result, plan, identity)
        if "png" in formats:
            segmentation = result.segmentation
            _write_pngs(folder, image_of_intensity(result.mip.intensity), segmentation.tumour, segmentation.probability)
            rotation = write_rotation(folder, volume, result.labels, result.mip.window_top)
        skipped = _write_niftis(folder, volume, mask, plan.options) | dicom.result()
    files, warnings = _listed(folder), list(result.warnings)
    if "report.dcm" in files and len(result.lesions) > MAX_REPORTED:
        warnings.append(f"report: report.dcm has the {MAX_REPORTED} largest of {len(result.lesions)} lesions")
    return {
        "kind": volume.source.kind,
        "has_tumour": result.segmentation.has_tumour,
        "patient": asdict(result.patient),
        "lesions": [
            {
                **asdict(lesion),
                "origin": result.origins[lesion.id],
                "mip_px": _mip_pixel(volume, result.mip, lesion.centroid_mm),
            }
            for lesion in result.lesions
        ],
        "references": asdict(result.references),
        "rotation": rotation,
        "warnings": warnings,
        "mask_sha256": hashlib.sha256(volume.source.restore(mask).data).hexdigest(),
        "files": files,
        "not_written": skipped,
    }


def _write_niftis(folder: Path, volume: Volume, mask: npt.NDArray[np.uint8], options: Options) -> dict[str, str]:
    """Write the mask and the SUV; returns the reason for what there can't be."""
    if "nifti" in options.formats:
        write_nifti(folder / "mask.nii.gz", mask, volume.source)
    if "suv" in options.formats:
        if volume.unit != "suv":
            return {"suv.nii.gz": f"no SUV ({volume.suv_reason})"}
        write_nifti(folder / "suv.nii.gz", volume.voxels, volume.source)
    return {}


def _write_dicom(folder: Path, volume: Volume, result: VolumeResult, plan: Plan, identity: str) -> dict[str, str]:
    """Write the segmentation and the report; returns the reason for each of them that there can't be."""
    formats, names = plan.options.formats, {"seg": "seg.dcm", "sr": "report.dcm"}
    wanted = [name for kind, name in names.items() if kind in formats]
    if not wanted or volume.source.kind != "dicom":
        return dict.fromkeys(wanted, "the input is not DICOM")
    from mipseg.io.dicom_out import Maker, source_images  # noqa: PLC0415 # an extra
    from mipseg.io.dicom_seg import make_dicom_seg  # noqa: PLC0415 # an extra

    made_by = plan.provenance
    maker = Maker(made_by.version, made_by.model, made_by.model_sha256, plan.created, identity)
    images = source_images(volume.source)
    if isinstance(images, str):
        return dict.fromkeys(wanted, images)
    segmentation = make_dicom_seg(result.labels, volume.source, images, maker, result.origins)
    if "sr" in formats:
        from mipseg.io.dicom_sr import make_dicom_report  # noqa: PLC0415 # an extra

        lesions = {lesion.id: asdict(lesion) for lesion in result.lesions[:MAX_REPORTED]}
        report = make_dicom_report(segmentation, asdict(result.patient), lesions, images, maker)
        report.save_as(folder / "report.dcm")
    if "seg" in formats:
        if segmentation is None:
            return {"seg.dcm": NO_SEGMENT}
        segmentation.save_as(folder / "seg.dcm")
    return {}


def _mip_pixel(volume: Volume, mip: Mip, place_mm: tuple[float, float, float]) -> tuple[float, float]:
    """Row and column of `mip.png` at which a place (LPS) shows, counted from the upper left pixel's 0."""
    z, _, x = np.linalg.solve(volume.affine, [*place_mm, 1])[:3]
    rows, columns = mip.rows, mip.columns  # head first; from the patient's right
    row = np.interp(z, rows[::-1], np.arange(rows.size)[::-1])
    return round(float(row), 1), round(float(np.interp(x, columns, np.arange(columns.size))), 1)


def _write_pngs(folder: Path, mip: GreyImage, tumour: BinaryMask, probability: Probability) -> None:
    write_png(folder / PROJECTION, mip)
    write_png(folder / "mask.png", tumour.astype(np.uint8) * 255)
    write_png(folder / "overlay.png", overlay_image(mip, tumour))
    write_png(folder / "probability.png", image_of_probability(probability))


def _image_lesion(lesion: Lesion) -> dict[str, Any]:
    """A lesion of an image with the same names as one of a volume, and its place in pixels."""
    return {**dict.fromkeys(_IMAGE_REASONS), **asdict(lesion), "reasons": _IMAGE_REASONS}


def _listed(folder: Path) -> list[str]:
    return [name for name in FILES if (folder / name).is_file()]
