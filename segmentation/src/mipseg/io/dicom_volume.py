"""From the chosen DICOM series to a volume in SUV."""

import dataclasses
import warnings as python_warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mipseg.errors import VolumeError
from mipseg.io.dicom import on_even_grid, read_stack
from mipseg.io.dicom_headers import suv_header
from mipseg.io.dicom_select import Series, choose_series, index_files
from mipseg.io.volume import Grid, Unit, Volume, body_median, spacing_of, to_patient_frame
from mipseg.suv.body_size import is_height
from mipseg.suv.factor import NoSuv, is_weight, judge_median, suv_factor
from mipseg.suv.nuclides import other_tracer


@dataclass(frozen=True, eq=False)
class Selection:
    """The series to read, and what was found beside it.

    Attributes:
        series: the PET.
        damaged: DICOM files that can't be read.
        warnings: `code: sentence` each.
    """

    series: Series
    damaged: tuple[Path, ...]
    warnings: tuple[str, ...]


def select_series(files: Sequence[Path], wanted: str | None) -> Selection:
    """Choose the series to read among DICOM files; see `choose_series`.

    Raises:
        VolumeError: there is none, or there are several.
    """
    with python_warnings.catch_warnings():
        python_warnings.simplefilter("ignore")  # pydicom's, of values that break the standard a little
        series, damaged = index_files(files)
        if not series:
            raise VolumeError(f"all {len(damaged)} DICOM files are damaged, such as {damaged[0].name}")
        chosen, warnings = choose_series(series, wanted)
    return Selection(chosen, tuple(damaged), tuple(warnings))


def read_dicom_volume(selection: Selection, weight_kg: float | None, dose_bq: float | None) -> Volume:
    """Read a series as SUV, or as what its header says with the reason why not.

    Raises:
        VolumeError: its slices make no volume.
    """
    with python_warnings.catch_warnings():
        python_warnings.simplefilter("ignore")
        stack = read_stack(selection.series, selection.damaged)
        header = suv_header(stack.headers, weight_kg, dose_bq)
    warnings = [*selection.warnings, *stack.warnings]
    array, factor, reason = stack.array, suv_factor(header), ""
    if isinstance(factor, NoSuv):
        reason = factor.reason
    else:
        factors = np.array(factor.factors, np.float32)[:, None, None]
        array *= factors
        reason, warning = judge_median(body_median(array))
        if reason:
            array /= factors
        warnings += [*factor.warnings, *([warning] if warning else [])]
    if tracer := other_tracer(header.tracer, header.half_life_s):
        warnings.append(f"tracer: the header names {tracer!r}; the model knows FDG only")
    even, resampled = on_even_grid(stack, array)
    voxels, affine, source, tilted = to_patient_frame(Grid(even, stack.affine), "dicom")
    source = dataclasses.replace(
        source,
        shape=stack.array.shape,
        positions_mm=tuple(float(position) for position in stack.positions_mm),
        headers=stack.headers,
    )
    without_suv: Unit = "bqml" if header.units == "BQML" else "unknown"
    unit: Unit = without_suv if reason else "suv"
    return Volume(
        voxels,
        affine,
        spacing_of(affine),
        unit,
        source,
        suv_reason=reason,
        warnings=(*warnings, *resampled, *tilted),
        weight_kg=header.weight_kg if is_weight(header.weight_kg) and not header.contradiction else None,
        height_m=header.height_m if is_height(header.height_m) else None,
    )
