"""The page and the PDF of a case: numbers read back, and nothing of who the patient is."""

import re
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pypdf import PdfReader

from mipseg.errors import ReportError
from mipseg.io.write import write_png
from mipseg.report.case import Figure, case_page, make_figure, read_figure
from mipseg.report.figure import FALSE_POSITIVE
from mipseg.report.pdf import write_pdf
from tests.report.pages import Page, read_page
from tests.report.pango import need_pango
from tests.report.records import NO_SUV, image_record, volume_record

MADE = datetime(2026, 12, 1, tzinfo=UTC)
MIP = np.full((120, 200), 255, np.uint8)
MIP[20:100, 50:150] = 200
TUMOUR = np.zeros(MIP.shape, bool)
TUMOUR[40:45, 60:64] = True


def page_of(record: dict[str, Any], figure: Figure | None = None) -> Page:
    return read_page(case_page(record, figure, MADE, one_page=False))


def test_numbers_of_a_volume() -> None:
    page = page_of(volume_record())
    assert page.facts == {
        "Probability of a tumour": "0.97", "Lesions": "2", "Total MTV (ml)": "15.0", "Total TLG (g)": "75.0",
        "SUVmax (g/ml)": "12.35", "SUVpeak (g/ml)": "9.88", "Dmax (mm)": "123", "Liver SUVmean (g/ml)": "2.14 ± 0.34",
        "Model": "unet_v8 (SHA-256 bbbbbbbbbbbb…)", "Version": "MIPseg 0.1.0, onnxruntime float32",
        "Input": "volume (SHA-256 aaaaaaaaaaaa…)", "Operating point": "the model's",
        "Grown to 3-D by": "41%max", "Window of the projection": "0 to SUV 6", "Report of": "2026-12-01",
    }  # fmt: skip
    assert page.tables == {
        "Largest first": [
            ["No.", "MTV (ml)", "SUVmax (g/ml)", "SUVmean (g/ml)", "SUVpeak (g/ml)", "TLG (g)", "Centre (mm, LPS)"],
            ["1", "10.00", "12.35", "5.00", "9.88", "50.00", "10, -21, 301"],
            ["2", "5.00", "12.35", "5.00", "9.88", "25.00", "10, -21, 302"],
        ]
    }
    assert "Not measured: SDmax (the body's height is not known)." in page.text
    assert page.text.count("Research use only, not a medical device") == 2


def test_numbers_of_an_image_and_why_others_are_missing() -> None:
    page = page_of(image_record(), make_figure(MIP, TUMOUR, image_record()))
    assert page.tables["Largest first"] == [
        ["No.", "Area (px)", "Mean intensity", "Probability", "Centre (row, column)"],
        ["1", "20", "0.75", "0.91", "42, 62"],
    ]
    assert f"SUVmean, TLG ({NO_SUV})" in page.text
    assert "Total MTV (ml)" not in page.facts
    assert page.pictures == [
        "Maximum-intensity projection of the body from the front",
        "The same image with 1 lesion marked",
    ]
    assert page.headings[0] == ("h1", "patient_7")
    assert [level for level, _ in page.headings[1:]] == ["h2"] * 5
    assert {attributes["scope"] for tag, attributes in page.tags if tag == "th"} == {"col", "row"}


def test_picture_is_cut_to_the_body_and_lesions_have_their_numbers() -> None:
    figure = make_figure(MIP, TUMOUR, image_record())
    assert (figure.width, figure.height) == (100 + 2 * 12, 120)
    (mark,) = figure.marks
    assert (mark.number, mark.row, mark.column) == (1, 48, 64 - 38 + 3)
    assert figure.mm_per_px is None
    figure = make_figure(MIP, TUMOUR, volume_record())
    assert [(mark.number, mark.row, mark.column) for mark in figure.marks] == [(1, 57, 40.5), (2, 58, 40.5)]
    assert figure.mm_per_px == 2
    texts = [a for tag, a in page_of(volume_record(), figure).tags if tag == "line"]
    assert [float(a["x2"]) - float(a["x1"]) for a in texts] == [50, 50]  # 10 cm


def test_pages_load_nothing_and_run_nothing() -> None:
    html = case_page(volume_record("<script>alert(1)</script>"), make_figure(MIP, TUMOUR, volume_record()), MADE,
                     one_page=False)  # fmt: skip
    page = read_page(html)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    targets = [a.get("src") or a.get("href", "") for tag, a in page.tags if tag in ("img", "image", "a")]
    assert len(targets) == 2
    assert all(target.startswith("data:image/png;base64,") for target in targets)
    assert all("style" not in attributes for _, attributes in page.tags)
    (policy,) = (a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert page.headings[0] == ("h1", "<script>alert(1)</script>")


def test_identity_stays_out() -> None:
    warnings = [
        "series: 1.2.840.113619.2.55.3.1 ('SMITH PET', 267 files) was chosen; also there: RTSTRUCT (1 files)",
        "damaged: 2 DICOM files can't be read, such as SMITH_JOHN.dcm",
        "injection-date: 2001-02-03 contradicts the scan of 2001-02-04; taken as 2001-02-04",
        "orientation",
    ]
    page = page_of(volume_record(warnings=warnings))
    assert not re.search(r"SMITH|1\.2\.840|2001|71\.25", page.text)
    assert "series: … (…, 267 files) was chosen; also there: RTSTRUCT (1 files)" in page.text
    assert "damaged: 2 DICOM files can't be read" in page.text
    assert "The image was turned for the prediction, and the mask turned back" in page.text


def test_nothing_found_is_not_called_healthy() -> None:
    page = page_of(volume_record(lesions=0, has_tumour=0.01))
    assert "No tumour found" in page.text
    assert "No lesion was marked. That does not mean that there is none." in page.text
    assert page.tables == {}


def test_an_unlikely_tumour_is_not_called_found() -> None:
    assert "Perhaps a tumour" in page_of(volume_record(has_tumour=0.12)).text
    assert "Tumour found" in page_of(volume_record(has_tumour=0.5)).text


def test_figure_is_read_from_the_files(tmp_path: Path) -> None:
    write_png(tmp_path / "mip.png", MIP)
    write_png(tmp_path / "mask.png", TUMOUR.astype(np.uint8) * 255)
    assert read_figure(tmp_path, image_record()) == make_figure(MIP, TUMOUR, image_record())
    assert read_figure(tmp_path, image_record(files=["mask.nii.gz"])) is None
    write_png(tmp_path / "mask.png", np.zeros((5, 5), np.uint8))
    with pytest.raises(ReportError, match=r"mip.png is \(120, 200\), but mask.png is \(5, 5\)"):
        read_figure(tmp_path, image_record())


def test_the_mask_is_orange_in_the_picture() -> None:
    from base64 import b64decode  # noqa: PLC0415

    from PIL import Image as PillowImage  # noqa: PLC0415

    content = b64decode(make_figure(MIP, TUMOUR, image_record()).overlay.partition(",")[2])
    with PillowImage.open(BytesIO(content)) as picture:
        assert picture.getpixel((60 - 38, 39)) == FALSE_POSITIVE


def test_a_damaged_record_is_named() -> None:
    with pytest.raises(ReportError, match=r"^measurements\.json is damaged: KeyError\('patient'\)$"):
        page_of({key: value for key, value in volume_record().items() if key != "patient"})


def pdf_of(record: dict[str, Any], file: Path, mip_rows: int = 120) -> PdfReader:
    need_pango()
    mip = np.full((mip_rows, 200), 255, np.uint8)
    mip[:, 40:160] = 200
    figure = make_figure(mip, np.zeros(mip.shape, bool), record)
    write_pdf(file, case_page(record, figure, MADE, one_page=True))
    return PdfReader(BytesIO(file.read_bytes()))


def test_pdf_is_one_tagged_page_with_the_numbers(tmp_path: Path) -> None:
    pdf = pdf_of(volume_record(), tmp_path / "report.pdf")
    (page,) = pdf.pages
    text = page.extract_text()
    for wanted in ("patient_1", "Research use only, not a medical device", "10.00 12.35 5.00 9.88 50.00 10, -21, 301",
                   "unet_v8 (SHA-256", "Total MTV (ml) 15.0"):  # fmt: skip
        assert wanted in text
    root: Any = pdf.trailer["/Root"].get_object()
    assert (root["/MarkInfo"]["/Marked"], root["/Lang"], pdf.metadata and pdf.metadata.title) == (
        True,
        "en",
        "patient_1",
    )
    assert "pdfuaid" in root["/Metadata"].get_object().get_data().decode()
    assert [file.name for file in tmp_path.iterdir()] == ["report.pdf"]


def test_a_large_case_prints_on_one_page_and_says_what_is_left_out(tmp_path: Path) -> None:
    record = volume_record(
        "a name of sixty letters or so, as archives like to have them, _", 60, warnings=["x: " + 90 * "long "] * 30
    )
    pdf = pdf_of(record, tmp_path / "report.pdf", mip_rows=991)
    (page,) = pdf.pages
    text = " ".join(page.extract_text().split())
    assert "the 12 largest of 60, all are in measurements.json" in text
    assert "and 25 more, in measurements.json" in text
    assert "may be missed." in text  # the end of the limits
    assert len(read_page(case_page(record, None, MADE, one_page=False)).tables["Largest first"]) == 61
