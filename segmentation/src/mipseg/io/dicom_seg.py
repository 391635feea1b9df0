"""A mask as DICOM Segmentation, voxel by voxel on the slices that it was made from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationTypeValues,
    SegmentDescription,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes
from scipy import ndimage

from mipseg.io.dicom_out import MANUFACTURER, Maker
from mipseg.io.volume import Source, occupied
from mipseg.types import Origin

SERIES_NUMBER = 9001  # far from those of scanners


def lesion_name(number: int) -> str:
    """The label of a lesion's segment, and its tracking identifier in a report."""
    return f"Lesion {number}"


def make_dicom_seg(
    labels: npt.NDArray[Any],
    source: Source,
    images: Sequence[Dataset],
    maker: Maker,
    origins: Mapping[int, Origin] | None = None,
) -> Dataset | None:
    """Make one segment for each lesion, coded as neoplasm.

    Args:
        labels: (Z, Y, X) unsigned, of the volume's grid: each lesion's number from 1 on, 0 outside.
        source: the volume's, of kind `dicom`.
        images: headers of its slices, as `source_images` gives them.
        maker: what made it.
        origins: of each lesion by its number; None: the model found them all.

    Returns:
        The object; None where no slice shows a lesion, since a segmentation needs a segment.
    """
    on_slices = source.restore(labels)
    around = occupied(on_slices)
    if around is None:
        return None
    present = [number for number, box in enumerate(ndimage.find_objects(on_slices[around]), 1) if box is not None]
    # Other slices would cost memory and make no frame; with neighbours, since one slice alone has no distance.
    shown = slice(max(around[0].start - 1, 0), around[0].stop + 1)
    on_slices = on_slices[shown]
    if present[-1] > len(present):  # a lesion lies between the slices that were resampled; segments leave no gap
        segments = np.zeros(present[-1] + 1, on_slices.dtype)
        segments[present] = np.arange(1, len(present) + 1)
        on_slices = segments[on_slices]
    segmentation = Segmentation(
        source_images=images[shown],
        pixel_array=on_slices,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[
            _describe(segment, number, maker, (origins or {}).get(number, "automatic"))
            for segment, number in enumerate(present, 1)
        ],
        series_instance_uid=maker.instance_uid("seg series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=maker.instance_uid("seg"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=maker.model,
        software_versions=maker.version,
        device_serial_number=maker.model_sha256[:16],
        content_label="TUMOUR",
        content_description="Tumour, estimated from one projection",
        series_description=f"{MANUFACTURER} tumour segmentation",
    )
    _repeat_uids(segmentation, maker)
    maker.date(segmentation)
    return segmentation


def _describe(segment: int, number: int, maker: Maker, origin: Origin) -> SegmentDescription:
    return SegmentDescription(
        segment_number=segment,
        segment_label=lesion_name(number),
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Neoplasm,
        algorithm_type=SegmentAlgorithmTypeValues[origin.upper()],
        algorithm_identification=None if origin == "manual" else maker.algorithm(),
        tracking_uid=maker.uid(f"lesion {number}"),
        tracking_id=lesion_name(number),
    )


def _repeat_uids(segmentation: Dataset, maker: Maker) -> None:
    """Replace the one UID that highdicom draws at random."""
    uid = maker.uid("dimensions")
    segmentation.DimensionOrganizationSequence[0].DimensionOrganizationUID = uid
    for index in segmentation.DimensionIndexSequence:
        index.DimensionOrganizationUID = uid
