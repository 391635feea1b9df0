"""Records as `mipseg segment` writes them, with numbers that are easy to find again."""

from typing import Any

NO_SUV = "a PNG or JPEG shows shares of a window, not SUV"


def volume_record(case: str = "patient_1", lesions: int = 2, **changes: Any) -> dict[str, Any]:
    """A volume whose lesion n has an MTV of 10 / n ml."""
    found = [volume_lesion(number) for number in range(1, lesions + 1)]
    total = sum(lesion["mtv_ml"] for lesion in found)
    patient = {
        "lesions": lesions, "total_mtv_ml": total, "total_tlg_g": 5 * total, "suv_max": 12.345, "suv_peak": 9.876,
        "dmax_mm": 123.4, "sdmax_per_m": None, "reasons": {"sdmax_per_m": "the body's height is not known"},
    }  # fmt: skip
    return _record(case, "nifti") | {
        "patient": patient,
        "lesions": found,
        "references": {"liver": {"suv_mean": 2.136, "suv_sd": 0.339}, "blood_pool": None, "reasons": {}},
    } | changes  # fmt: skip


def volume_lesion(number: int) -> dict[str, Any]:
    return {
        "id": number, "area_mm2": 111.0, "mtv_ml": 10 / number, "suv_max": 12.345, "suv_mean": 5.0, "suv_peak": 9.876,
        "tlg_g": 50 / number, "centroid_mm": [10.4, -20.6, 300.0 + number],
        "mip_px": [50.0 + number, 70.5], "reasons": {},
    }  # fmt: skip


def image_record(case: str = "patient_7", **changes: Any) -> dict[str, Any]:
    """An image with one lesion of 5 x 4 pixels."""
    unknown = dict.fromkeys(("suv_max", "suv_mean", "suv_peak", "tlg_g"), NO_SUV)
    lesion = {
        "id": 1, "bbox": [40, 60, 45, 64], "centroid": [42.0, 61.5], "area_px": 20, "area_mm2": None,
        "mean_intensity": 0.75, "probability": 0.91, "mtv_ml": None, **dict.fromkeys(unknown), "centroid_mm": None,
        "reasons": unknown | {"area_mm2": "the size of an image's pixels is not known"},
    }  # fmt: skip
    of_patient = dict.fromkeys(("total_tlg_g", "suv_max", "suv_peak"), NO_SUV)
    of_patient |= dict.fromkeys(("total_mtv_ml", "dmax_mm", "sdmax_per_m"), "an image has no depth")
    patient = {"lesions": 1, **dict.fromkeys(of_patient), "reasons": of_patient}
    return _record(case, "image") | {"patient": patient, "lesions": [lesion], "references": None} | changes


def _record(case: str, kind: str) -> dict[str, Any]:
    options = {"window_top": None, "rule": "41%max", "series": "1.2.840.99.1.2.3", "weight_kg": 71.25}
    return {
        "case": case, "kind": kind, "input_sha256": "a" * 64, "version": "0.1.0", "model": "unet_v8",
        "model_sha256": "b" * 64, "runtime": "onnxruntime float32", "has_tumour": 0.966, "warnings": [],
        "options": {**options, "min_patient": None},
        "files": ["mip.png", "mask.png", "overlay.png"],
    }  # fmt: skip
