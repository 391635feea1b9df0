"""The measurements as DICOM Structured Report, TID 1500: of the patient, and of each segment that was measured."""

from collections.abc import Mapping, Sequence
from typing import Any

from highdicom.sr import AlgorithmIdentification as Algorithm
from highdicom.sr import (
    CodedConcept,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
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
_MILLILITRE, _GRAM = Code("ml", "UCUM", "milliliter"), Code("g", "UCUM", "gram")
# Not "present" and "absent": that is for a reader to say.
_DETECTED, _NOT_DETECTED = Code("260373001", "SCT", "Detected"), Code("260415000", "SCT", "Not detected")
# Name of the measure, concept, unit, and how the concept was derived from the voxels.
_Measures = tuple[tuple[str, Code, Code, Code | None], ...]
_OF_LESION: _Measures = (
    ("mtv_ml", codes.DCM.MetabolicVolume, _MILLILITRE, None),
    ("suv_max", *_SUV, codes.SCT.Maximum),
    ("suv_mean", *_SUV, codes.SCT.Mean),
    ("suv_peak", *_SUV, codes.DCM.PeakValueWithinROI),
    ("tlg_g", codes.DCM.TotalLesionGlycolysis, _GRAM, None),
)
_OF_PATIENT: _Measures = (
    ("lesions", codes.SCT.NumberOfLesions, codes.UCUM.NoUnits, None),
    ("total_mtv_ml", codes.DCM.MetabolicVolume, _MILLILITRE, codes.SCT.Total),
    ("total_tlg_g", codes.DCM.TotalLesionGlycolysis, _GRAM, codes.SCT.Total),
)


def make_dicom_report(
    segmentation: Dataset | None,
    patient: Mapping[str, Any],
    lesions: Mapping[int, Mapping[str, Any]],
    images: Sequence[Dataset],
    maker: Maker,
) -> Dataset:
    """Make a group of measurements for the patient, which says whether any lesion was detected, and one for each.

    What could not be measured is left out.

    Args:
        segmentation: as `make_dicom_seg` gives it; None: it shows no lesion.
        patient: of all lesions together; names as in `mipseg.measure.patient.PatientMeasures`.
        lesions: of each lesion by its number; names as in `mipseg.measure.lesions_3d.VolumeLesion`.
        images: headers of the slices, as `source_images` gives them.
        maker: what made it.
    """
    groups: list[MeasurementsAndQualitativeEvaluations | VolumetricROIMeasurementsAndQualitativeEvaluations]
    groups = [_patient_group(patient, maker)]
    if segmentation is not None:
        segments = {segment.TrackingID: int(segment.SegmentNumber) for segment in segmentation.SegmentSequence}
        groups += [
            _lesion_group(segmentation, segments[lesion_name(number)], lesion, number, maker)
            for number, lesion in lesions.items()
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
        evidence=[*images, *([] if segmentation is None else [segmentation])],
        content=content[0],
        series_instance_uid=maker.instance_uid("report series"),
        series_number=SERIES_NUMBER + 1,
        sop_instance_uid=maker.instance_uid("report"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        series_description=f"{MANUFACTURER} measurements",
    )
    maker.date(report)
    return report


def _patient_group(patient: Mapping[str, Any], maker: Maker) -> MeasurementsAndQualitativeEvaluations:
    found = _DETECTED if patient["lesions"] else _NOT_DETECTED
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=maker.uid("all lesions"), identifier="All lesions"),
        finding_type=codes.SCT.Neoplasm,
        algorithm_id=_algorithm(maker),
        measurements=_measurements(patient, _OF_PATIENT),
        qualitative_evaluations=[QualitativeEvaluation(codes.DCM.PresenceOfProperty, found)],
    )


def _lesion_group(
    segmentation: Dataset, segment: int, lesion: Mapping[str, Any], number: int, maker: Maker
) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
    series = segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=maker.uid(f"lesion {number}"), identifier=lesion_name(number)),
        referenced_segment=ReferencedSegment(
            segmentation.SOPClassUID,
            segmentation.SOPInstanceUID,
            segment,
            source_series=SourceSeriesForSegmentation(series),
        ),
        finding_type=codes.SCT.Neoplasm,
        algorithm_id=_algorithm(maker),
        measurements=_measurements(lesion, _OF_LESION),
    )


def _algorithm(maker: Maker) -> Algorithm:
    return Algorithm(f"{MANUFACTURER} {maker.model}", maker.version)


def _measurements(values: Mapping[str, Any], measures: _Measures) -> list[Measurement]:
    return [
        Measurement(name=concept, value=float(values[name]), unit=unit, derivation=derivation)
        for name, concept, unit, derivation in measures
        if values[name] is not None
    ]
