"""One volume, one result: the only place that puts the steps for volumes together."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mipseg.growing import DEFAULT_RULE, Rule, grow
from mipseg.io.volume import Volume
from mipseg.measure.lesions_3d import Labels, VolumeLesion, label_lesions, measure_volume
from mipseg.measure.patient import PatientMeasures, measure_patient
from mipseg.measure.regions import References, find_references, percist_level
from mipseg.model.segmenter import Segmentation, Segmenter
from mipseg.projection import Mip, project
from mipseg.repair import EMPTY, OF_VOLUME, InputWarning, doubts, judge
from mipseg.sharpening import filter_of, sharp_view
from mipseg.types import Origin

CORRECTED = "corrected: the mask was corrected by hand"


@dataclass(frozen=True)
class VolumeOptions:
    """What a user may choose.

    Attributes:
        rule: how lesions grow from the mask; see `mipseg.growing.grow`.
        window_top: the value that the networks see as the hottest, in the volume's unit; None: SUV 6.
    """

    rule: Rule = DEFAULT_RULE
    window_top: float | None = None


@dataclass(frozen=True, eq=False)
class VolumeResult:
    """Everything that is known about a volume.

    Attributes:
        mip: the projection.
        segmentation: the networks' mask of it, probabilities, and the probability of a tumour anywhere. Of a volume
            that is smoother than what they know they saw a sharper projection; see `mipseg.sharpening`.
        labels: (Z, Y, X) uint16 of the volume's grid, an estimate from one projection: each lesion's number, 0 outside.
        lesions: one for each number, the largest first.
        patient: all lesions together.
        references: healthy organs to compare with.
        origins: who found each lesion, by its number.
        warnings: `code` or `code: sentence` each, of reading, projecting, the image and the mask. The image is doubted
            as others are, but not repaired: a volume's header says where the head is.
    """

    mip: Mip
    segmentation: Segmentation
    labels: Labels
    lesions: list[VolumeLesion]
    patient: PatientMeasures
    references: References
    origins: dict[int, Origin]
    warnings: list[str]


def analyze_volume(volume: Volume, segmenter: Segmenter, options: VolumeOptions | None = None) -> VolumeResult:
    """Project, segment, estimate the tumour in 3-D, and measure it. Where no body is seen, there is no tumour.

    Args:
        volume: from `mipseg.io.read.read_volume`.
        segmenter: the model.
        options: None: the defaults.

    Raises:
        VolumeError: the volume has no SUV and the options no window.
        ArgumentError: the rule needs SUV or a liver that the volume does not have.
        ModelError: the model can't be loaded.
    """
    chosen = options or VolumeOptions()
    with ThreadPoolExecutor(1) as beside:
        organs = beside.submit(find_references, volume)
        mip = project(volume, chosen.window_top)
        judged = judge(mip.intensity)
        segmentation, sharpened = _segment(volume, mip, segmenter) if EMPTY.isdisjoint(judged) else (_nothing(mip), [])
        level = _liver_level(organs.result()) if chosen.rule == "liver" else None  # other rules need not wait for it
        labels = label_lesions(grow(volume, mip, segmentation.tumour, chosen.rule, level))
        lesions = measure_volume(volume, labels)
    references = organs.result()
    patient = measure_patient(lesions, volume.weight_kg, volume.height_m)
    doubtful = [*_worded(judged), *doubts(mip.intensity, segmentation.tumour)]
    warnings = [*volume.warnings, *mip.warnings, *sharpened, *doubtful]
    origins: dict[int, Origin] = {lesion.id: "automatic" for lesion in lesions}
    return VolumeResult(mip, segmentation, labels, lesions, patient, references, origins, warnings)


def correct_volume(
    volume: Volume, result: VolumeResult, mask: npt.NDArray[Any], rule: Rule = DEFAULT_RULE
) -> VolumeResult:
    """Estimate the tumour in 3-D again, from a mask of the projection that a person corrected, and measure it.

    Args:
        volume: as it was analysed.
        result: of the analysis.
        mask: (H, W) of the projection; what is not 0 is tumour.
        rule: how lesions grow from it; see `mipseg.growing.grow`.

    Returns:
        The result with the corrected mask in place of the model's. Lesions on rays of which the model marked any are
        semi-automatic, all others manual.

    Raises:
        ArgumentError: a mask of another shape, or a rule that the volume does not allow.
    """
    labels = label_lesions(grow(volume, result.mip, mask, rule, _liver_level(result.references)))
    lesions = measure_volume(volume, labels)
    seen = result.mip.rays_of(result.segmentation.tumour)
    found = set(np.unique(labels.transpose(0, 2, 1)[seen]).tolist())
    origins: dict[int, Origin] = {lesion.id: "semiautomatic" if lesion.id in found else "manual" for lesion in lesions}
    return replace(
        result,
        segmentation=result.segmentation._replace(tumour=np.asarray(mask) != 0),
        labels=labels,
        lesions=lesions,
        patient=measure_patient(lesions, volume.weight_kg, volume.height_m),
        origins=origins,
        warnings=[*result.warnings, CORRECTED],
    )


def _segment(volume: Volume, mip: Mip, segmenter: Segmenter) -> tuple[Segmentation, list[str]]:
    """What the networks find, and what is said of the view that they had."""
    found = filter_of(volume, mip)
    if not any(found):
        return segmenter.segment(mip.intensity), []
    warning = (
        f"sharpened: the volume is smoother than those that the model knows, as after a filter of {max(found):.0f} mm; "
        "the model saw it sharpened. It is measured as it is"
    )
    return segmenter.segment(sharp_view(volume, mip, found)), [warning]


def _liver_level(references: References) -> float | None:
    return None if references.liver is None else percist_level(references.liver)


def _nothing(mip: Mip) -> Segmentation:
    shape = mip.intensity.shape
    return Segmentation(np.zeros(shape, bool), np.zeros(shape, np.float32), 0.0)


def _worded(judged: Iterable[InputWarning]) -> list[str]:
    return [f"{code}: {OF_VOLUME[code]}" if code in OF_VOLUME else code for code in judged]
