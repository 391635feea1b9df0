"""The report of one case: what `mipseg segment` wrote of it, to look at and to print."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from textwrap import shorten
from typing import Any

from mipseg.constants import PITCH_MM
from mipseg.errors import ReportError
from mipseg.io.codec import decode_image
from mipseg.io.mask_png import tumour_of
from mipseg.report.figure import overlay_image
from mipseg.report.html import body_columns, data_url, fixed, render
from mipseg.report.measures import Table, lesion_table, missing_measures, patient_values
from mipseg.report.words import IMAGE_LIMITS, LIMITS, VOLUME_LIMITS, plain_warnings
from mipseg.types import BinaryMask, GreyImage

PRINTED_LESIONS, PRINTED_WARNINGS, PRINTED_LETTERS = 12, 5, 200  # so that a case fits onto one page
UNSURE = 0.5  # below this probability a mask is a hint; as in the viewer


@dataclass(frozen=True)
class Mark:
    """A lesion's number in the picture, at the right of the lesion."""

    number: int
    row: float
    column: float


@dataclass(frozen=True)
class Figure:
    """The picture of a case, once plain and once with its lesions; cut to the body.

    Attributes:
        image: address of the plain picture.
        overlay: address of the other.
        width: pixels.
        height: pixels.
        marks: where the lesions' numbers go.
        mm_per_px: None where it is not known, as of images.
        caption: of the second picture.
        alt: the second picture in words.
    """

    image: str
    overlay: str
    width: int
    height: int
    marks: tuple[Mark, ...]
    mm_per_px: float | None
    caption: str
    alt: str


def case_page(record: Mapping[str, Any], figure: Figure | None, made: datetime, *, one_page: bool) -> str:
    """Make the page of a case.

    Args:
        record: its `measurements.json`.
        figure: from `read_figure`.
        made: the report's date.
        one_page: leave out the smaller lesions where there are many, so that it prints on one page.

    Raises:
        ReportError: the record is not one that `mipseg segment` wrote.
    """
    try:
        return render("case.html", figure=figure, **_content(record, made, one_page=one_page))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ReportError(f"measurements.json is damaged: {error!r}") from error


def _content(record: Mapping[str, Any], made: datetime, *, one_page: bool) -> dict[str, Any]:
    lesions, patient, is_image = record["lesions"], record["patient"], record["kind"] == "image"
    table, warnings = lesion_table(lesions), plain_warnings(record["warnings"])
    caption = "Largest first"
    if one_page and len(lesions) > PRINTED_LESIONS:
        table = Table(table.headings, table.rows[:PRINTED_LESIONS])
        caption += f"; the {PRINTED_LESIONS} largest of {len(lesions)}, all are in measurements.json"
    if one_page:
        more = len(warnings) - PRINTED_WARNINGS
        warnings = [shorten(warning, PRINTED_LETTERS, placeholder=" …") for warning in warnings[:PRINTED_WARNINGS]]
        warnings += [f"and {more} more, in measurements.json"] if more > 0 else []
    return {
        "case": record["case"],
        "verdict": _verdict(record["has_tumour"], len(lesions)),
        "facts": [
            ("Probability of a tumour", fixed(record["has_tumour"])),
            ("Lesions", str(len(lesions))),
            *patient_values(patient),
            *_references(record["references"]),
        ],
        "table": table,
        "caption": caption,
        "missing": missing_measures(record),
        "warnings": warnings,
        "method": _method(record, made),
        "limits": [*(IMAGE_LIMITS if is_image else VOLUME_LIMITS), *LIMITS],
    }


def _verdict(has_tumour: float, lesions: int) -> str:
    if lesions == 0:
        return "No tumour found"
    return "Perhaps a tumour" if has_tumour < UNSURE else "Tumour found"


def _references(references: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    liver = None if references is None else references["liver"]
    if liver is None:
        return []
    return [("Liver SUVmean (g/ml)", f"{fixed(liver['suv_mean'])} ± {fixed(liver['suv_sd'])}")]


def _method(record: Mapping[str, Any], made: datetime) -> list[tuple[str, str]]:
    options = record["options"]
    least = "the model's" if options["min_patient"] is None else fixed(options["min_patient"])
    rows = [
        ("Model", f"{record['model']} (SHA-256 {record['model_sha256'][:12]}…)"),
        ("Version", f"MIPseg {record['version']}, {record['runtime']}"),
        ("Input", f"{'image' if record['kind'] == 'image' else 'volume'} (SHA-256 {record['input_sha256'][:12]}…)"),
        ("Operating point", least),
    ]
    if record["kind"] != "image":
        window = "SUV 6" if options["window_top"] is None else f"{options['window_top']:g}"
        rows += [("Grown to 3-D by", options["rule"]), ("Window of the projection", f"0 to {window}")]
    return [*rows, ("Report of", made.date().isoformat())]


def read_figure(folder: Path, record: Mapping[str, Any]) -> Figure | None:
    """Read the picture of a case; None where none was written.

    Args:
        folder: of the case.
        record: its `measurements.json`.

    Raises:
        InputError: a file is damaged.
        ReportError: picture and mask differ in size.
    """
    if not {"mip.png", "mask.png"} <= set(record["files"]):
        return None
    mip, mask = (decode_image((folder / name).read_bytes())[:, :, 0] for name in ("mip.png", "mask.png"))
    if mip.shape != mask.shape:
        raise ReportError(f"mip.png is {mip.shape}, but mask.png is {mask.shape}")
    return make_figure(mip, tumour_of(mask), record)


def make_figure(mip: GreyImage, tumour: BinaryMask, record: Mapping[str, Any]) -> Figure:
    """Draw the picture of a case.

    Args:
        mip: (H, W) uint8, air 255.
        tumour: (H, W) bool.
        record: the case's `measurements.json`.
    """
    body = body_columns(mip, tumour)
    is_image, count = record["kind"] == "image", len(record["lesions"])
    number = "no lesion" if count == 0 else "1 lesion" if count == 1 else f"{count} lesions"
    numbered = ", with their numbers" if count else ""
    return Figure(
        image=data_url(mip[:, body]),
        overlay=data_url(overlay_image(mip, tumour)[:, body]),
        width=body.stop - body.start,
        height=mip.shape[0],
        marks=_marks(record["lesions"], body.start),
        mm_per_px=None if is_image else PITCH_MM,
        caption=f"The same with {number} in orange{numbered}",
        alt=f"The same image with {number} marked",
    )


def _marks(lesions: Sequence[Mapping[str, Any]], left: int) -> tuple[Mark, ...]:
    """The numbers, each at the right of its lesion: of its box in an image, of its middle in a volume's projection."""
    marks = []
    for lesion in lesions:
        is_volume = "mip_px" in lesion
        row, column = lesion["mip_px"] if is_volume else (lesion["centroid"][0], lesion["bbox"][3])
        marks.append(Mark(lesion["id"], round(row + 6, 1), round(column + (8 if is_volume else 3) - left, 1)))
    return tuple(marks)
