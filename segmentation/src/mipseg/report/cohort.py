"""The page of many cases: how MTV and TLG are distributed, a table with links, and what failed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from mipseg.report import PAGE, PDF
from mipseg.report.charts import Histogram, log_histogram
from mipseg.report.html import fixed, render
from mipseg.report.measures import OF_PATIENT
from mipseg.report.words import LIMITS, VOLUME_LIMITS, anonymous


@dataclass(frozen=True)
class Row:
    """One case.

    Attributes:
        case: its name.
        page: address of its report, relative to this page.
        pdf: the same for the PDF.
        values: as text.
    """

    case: str
    page: str
    pdf: str
    values: tuple[str, ...]


def cohort_page(
    records: Sequence[Mapping[str, Any]], failures: Mapping[str, str] | None, made: datetime, *, with_pdf: bool
) -> str:
    """Make the page of many cases.

    Args:
        records: the `measurements.json` of each.
        failures: why others failed, by name; None: it is not known whether any did.
        made: the report's date.
        with_pdf: whether each case has a PDF.
    """
    ordered = sorted(records, key=lambda record: str(record["case"]))
    patients = [record["patient"] for record in ordered if record["kind"] != "image"]
    charts = [
        _histogram("Total MTV (ml)", [patient["total_mtv_ml"] for patient in patients]),
        _histogram("Total TLG (g)", [patient["total_tlg_g"] for patient in patients]),
    ]
    marked = sum(bool(record["lesions"]) for record in ordered)
    return render(
        "cohort.html",
        title="1 case" if len(ordered) == 1 else f"{len(ordered)} cases",
        facts=[
            ("Segmented", str(len(ordered))),
            ("With lesions", str(marked)),
            ("Without", str(len(ordered) - marked)),
            ("Failed", "not known" if failures is None else str(len(failures))),
            ("Models", ", ".join(sorted({str(record["model"]) for record in ordered}))),
        ],
        charts=[chart for chart in charts if chart.bars],
        headings=["Probability", "Lesions", *(measure.heading for measure in OF_PATIENT), "Warnings"],
        rows=[_row(record) for record in ordered],
        with_pdf=with_pdf,
        failures=[(case, anonymous(reason)) for case, reason in sorted((failures or {}).items())],
        run_known=failures is not None,
        limits=(*VOLUME_LIMITS, *LIMITS),
        made=made.date().isoformat(),
    )


def _histogram(measure: str, values: Sequence[float | None]) -> Histogram:
    known = [value for value in values if value is not None]
    return log_histogram(f"{measure} of {len(known)} volume{'s' * (len(known) != 1)}", known)


def _row(record: Mapping[str, Any]) -> Row:
    patient, folder = record["patient"], quote(record["case"])
    values = [fixed(patient[measure.key], measure.decimals) for measure in OF_PATIENT]
    counts = fixed(record["has_tumour"]), str(len(record["lesions"]))
    return Row(
        case=record["case"],
        page=f"{folder}/{PAGE}",
        pdf=f"{folder}/{PDF}",
        values=(*counts, *values, str(len(record["warnings"]))),
    )
