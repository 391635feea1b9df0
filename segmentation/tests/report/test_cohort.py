from datetime import UTC, datetime
from typing import Any

import pytest

from mipseg.report.cohort import cohort_page
from mipseg.report.html import MISSING
from mipseg.report.words import anonymous
from tests.report.pages import Page, read_page
from tests.report.records import image_record, volume_record

MADE = datetime(2026, 12, 1, tzinfo=UTC)


def page_of(*records: dict[str, Any], failures: dict[str, str] | None = None, with_pdf: bool = True) -> Page:
    return read_page(cohort_page(records, failures, MADE, with_pdf=with_pdf))


def test_table_has_every_case_with_its_links() -> None:
    page = page_of(volume_record("b & c"), image_record("a"), volume_record("d", lesions=0))
    table = next(iter(page.tables.values()))
    assert table == [
        ["Case", "Probability", "Lesions", "Total MTV (ml)", "Total TLG (g)", "SUVmax (g/ml)", "SUVpeak (g/ml)",
         "Dmax (mm)", "SDmax (1/m)", "Warnings", "PDF"],
        ["a", "0.97", "1", MISSING, MISSING, MISSING, MISSING, MISSING, MISSING, "0", "PDF"],
        ["b & c", "0.97", "2", "15.0", "75.0", "12.35", "9.88", "123", MISSING, "0", "PDF"],
        ["d", "0.97", "0", "0.0", "0.0", "12.35", "9.88", "123", MISSING, "0", "PDF"],
    ]  # fmt: skip
    assert page.links["b & c"] == "b%20%26%20c/report.html"
    assert [a["href"] for tag, a in page.tags if tag == "a"][:2] == ["a/report.html", "a/report.pdf"]
    assert page.facts == {
        "Segmented": "3", "With lesions": "2", "Without": "1", "Failed": "not known", "Models": "unet_v8"
    }  # fmt: skip


def test_distribution_is_of_volumes_alone() -> None:
    page = page_of(volume_record("a"), volume_record("b", lesions=0), image_record("c"))
    assert page.pictures == [
        "Total MTV (ml) of 2 volumes. Cases by the lower end of their class: 0: 1; 10: 1",
        "Total TLG (g) of 2 volumes. Cases by the lower end of their class: 0: 1; 30: 1",
    ]
    assert "Total MTV (ml) of 2 volumes; median 7.5" in page.text
    assert "Images have no volume, and volumes without SUV no TLG." in page.text
    assert page_of(image_record()).pictures == []


def test_failures_have_their_reasons_and_no_paths() -> None:
    reason = "Permission denied: /archive/SMITH_JOHN/ct.dcm"
    page = page_of(volume_record(), failures={"b": reason, "a": "the PNG is cut off"})
    assert page.tables["1"] == [["Case", "Why"], ["a", "the PNG is cut off"], ["b", "Permission denied: …"]]
    assert page.facts["Failed"] == "2"


def test_it_is_said_where_failures_are_not_known() -> None:
    assert "Not known. mipseg segment --report run.json notes which" in page_of(volume_record()).text
    assert "Failures None." in page_of(volume_record(), failures={}).text


def test_without_pdf_there_are_no_links_to_them() -> None:
    page = page_of(volume_record(), with_pdf=False)
    assert [target for target in page.links.values() if "pdf" in target] == []


NAMES = """O'BRIEN "MARY" MAX"""


@pytest.mark.parametrize(("text", "wanted"), [
    ("1.2.840.113619.2.55.3 was chosen", "… was chosen"),
    ("distances are 3.19 to 3.29 mm, version 1.2.3", "distances are 3.19 to 3.29 mm, version 1.2.3"),
    ("series 'WB PET (AC)' can't be read, it's cut", "series … can't be read, it's cut"),
    (f"series {NAMES!r} is cut", "series … is cut"),
    ("askew of the patient's axes, files can't", "askew of the patient's axes, files can't"),
    ("No space left on device: /data/A B.nii", "No space left on device: … B.nii"),
    ("one of g/ml and and/or", "one of g/ml and and/or"),
])  # fmt: skip
def test_anonymous(text: str, wanted: str) -> None:
    assert anonymous(text) == wanted
