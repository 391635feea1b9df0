"""The measurements as DICOM Structured Report, TID 1500, which points at the segments that were measured."""

from collections.abc import Mapping, Sequence
from typing import Any

from highdicom.sr import AlgorithmIdentification as Algorithm
from highdicom.sr import (
    CodedConcept,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    Measurement,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    ReferencedSegment,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from mipseg.io.dicom_out import MANUFACTURER, Maker
from mipseg.io.dicom_seg import SERIES_NUMBER, lesion_name

_SUV = codes.DCM.Suvbw, codes.UCUM.StandardizedUptakeValueBodyWeight
# Name of the measure, concept, unit, and how the concept was derived from the voxels.
_MEASURES: tuple[tuple[str, Code, Code, Code | None], ...] = (
    ("mtv_ml", codes.DCM.MetabolicVolume, Code("ml", "UCUM", "milliliter"), None),
    ("suv_max", *_SUV, codes.SCT.Maximum),
    ("suv_mean", *_SUV, codes.SCT.Mean),
    ("suv_peak", *_SUV, codes.DCM.PeakValueWithinROI),
    ("tlg_g", codes.DCM.TotalLesionGlycolysis, Code("g", "UCUM", "gram"), None),
)


def make_dicom_report(
    segmentation: Dataset, measures: Mapping[int, Mapping[str, Any]], images: Sequence[Dataset], maker: Maker
) -> Dataset:
    """Make one group of measurements for each segment; what could not be measured is left out.

    Args:
        segmentation: as `make_dicom_seg` gives it.
        measures: of each lesion by its number; names as in `mipseg.measure.lesions_3d.VolumeLesion`.
        images: headers of the slices, as `source_images` gives them.
        maker: what made it.
    """
    segments = {segment.TrackingID: int(segment.SegmentNumber) for segment in segmentation.SegmentSequence}
    groups = [
        _group(segmentation, segments[lesion_name(number)], lesion, number, maker)
        for number, lesion in measures.items()
        if lesion_name(number) in segments
    ]
    device = DeviceObserverIdentifyingAttributes(
        uid=maker.uid("device"), name=MANUFACTURER, manufacturer_name=MANUFACTURER, model_name=maker.model
    )
    observer = ObserverContext(codes.DCM.Device, device)
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=CodedConcept("44136001", "SCT", "Positron emission tomography"),
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    report = ComprehensiveSR(
        evidence=[*images, segmentation],
        content=content[0],
        series_instance_uid=maker.uid("report series"),
        series_number=SERIES_NUMBER + 1,
        sop_instance_uid=maker.uid("report"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        series_description=f"{MANUFACTURER} measurements",
    )
    maker.date(report)
    return report


def _group(
    segmentation: Dataset, segment: int, lesion: Mapping[str, Any], number: int, maker: Maker
) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
    series = segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID
    measurements = [
        Measurement(name=concept, value=float(lesion[name]), unit=unit, derivation=derivation)
        for name, concept, unit, derivation in _MEASURES
        if lesion[name] is not None
    ]
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=maker.uid(f"lesion {number}"), identifier=lesion_name(number)),
        referenced_segment=ReferencedSegment(
            segmentation.SOPClassUID,
            segmentation.SOPInstanceUID,
            segment,
            source_series=SourceSeriesForSegmentation(series),
        ),
        finding_type=codes.SCT.Neoplasm,
        algorithm_id=Algorithm(f"{MANUFACTURER} {maker.model}", maker.version),
        measurements=measurements,
    )
