"""`mipseg report`: which files are where, what fails, and what is said without the extra's parts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import ImageFile
from pypdf import PdfReader

from mipseg.errors import ReportError
from mipseg.report import pdf
from tests.cli.conftest import Command
from tests.report.pages import read_page
from tests.report.pango import need_pango


@pytest.fixture
def out(mipseg: Command, image: Path, volume: Path, tmp_path: Path) -> Path:
    """Results of an image and a volume, and a run on a broken file; one by one, which takes no pool of processes."""
    broken, out = tmp_path / "broken.png", tmp_path / "out"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n")
    for file, code in ((image, 0), (volume, 0), (broken, 1)):
        assert mipseg("segment", file, "-o", out, "--report", out / "run.json").code == code
    return out


@pytest.fixture
def no_pango(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Pango."""

    def missing() -> None:
        raise ReportError("the library Pango is missing")

    monkeypatch.setattr(pdf, "require_pdf", missing)


def test_pages_and_pdfs(mipseg: Command, out: Path) -> None:
    need_pango()
    answer = mipseg("report", out, "--run", out / "run.json")
    assert (answer.code, answer.stdout, answer.stderr) == (0, f"{out / 'report.html'}\n", "")
    page = read_page((out / "report.html").read_text())
    assert page.facts["Segmented"] == "2"
    assert page.tables["1"] == [["Case", "Why"], ["broken", "the PNG is cut off"]]
    assert all((out / target).is_file() for target in page.links.values())
    record = json.loads((out / "ball" / "measurements.json").read_text())
    case = read_page((out / "ball" / "report.html").read_text())
    assert case.facts["Total MTV (ml)"] == f"{record['patient']['total_mtv_ml']:.1f}"
    (printed,) = PdfReader(out / "patient_7" / "report.pdf").pages
    assert "patient_7" in printed.extract_text()
    assert not ImageFile.LOAD_TRUNCATED_IMAGES  # WeasyPrint sets it


def test_without_pango_there_are_pages_only_and_it_is_said(mipseg: Command, out: Path, no_pango: None) -> None:
    answer = mipseg("report", out)
    assert (answer.code, answer.stderr) == (0, "no PDF: the library Pango is missing\n")
    assert (out / "ball" / "report.html").is_file()
    assert not (out / "ball" / "report.pdf").exists()
    assert "Not known." in read_page((out / "report.html").read_text()).text


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(ReportError, match=r"the package weasyprint is missing: pip install 'mipseg\[report\]'"):
        pdf.require_pdf()


def test_without_the_library_one_line_says_which_to_install() -> None:
    code = """
import cffi
def missing(*_):
    raise OSError("no such library")
cffi.FFI.dlopen = missing
from mipseg.report.pdf import require_pdf
try:
    require_pdf()
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    libraries = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
    assert done.stdout == f"ReportError the library Pango is missing: apt install {libraries}\n"
    assert done.stderr == ""


def test_without_the_extra_one_line_says_so(mipseg: Command, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("mipseg.report")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    answer = mipseg("report", out)
    assert (answer.code, answer.stderr) == (2, "error: the package jinja2 is missing: pip install 'mipseg[report]'\n")


def test_a_damaged_case_is_named_and_the_others_are_done(mipseg: Command, out: Path, no_pango: None) -> None:
    (out / "ball" / "measurements.json").write_text("{")
    answer = mipseg("report", out)
    assert answer.code == 1
    assert "failed: ball: measurements.json is damaged: Expecting property name" in answer.stderr
    assert answer.stderr.endswith("error: 1 of 2 cases have no report\n")
    page = read_page((out / "report.html").read_text())
    assert page.facts["Segmented"] == "1"
    assert page.tables["1"][1][0] == "ball"


def test_new_results_take_the_report_of_the_old_ones_away(
    mipseg: Command, out: Path, image: Path, no_pango: None
) -> None:
    mipseg("report", out)
    mipseg("segment", image, "-o", out)
    assert (out / "patient_7" / "report.html").is_file()
    mipseg("segment", image, "-o", out, "--force")
    assert not (out / "patient_7" / "report.html").exists()
    assert (out / "ball" / "report.html").is_file()


def test_nothing_to_report(mipseg: Command, tmp_path: Path) -> None:
    answer = mipseg("report", tmp_path)
    message = f"error: {tmp_path} holds no results; `mipseg segment INPUT -o {tmp_path}` writes them\n"
    assert (answer.code, answer.stderr) == (2, message)


@pytest.mark.parametrize(
    ("content", "problem"), [("[]", "is not what `mipseg segment --report` writes"), (None, "can't read")]
)
def test_a_run_that_cannot_be_read(mipseg: Command, out: Path, content: str | None, problem: str) -> None:
    if content is not None:
        (out / "other.json").write_text(content)
    answer = mipseg("report", out, "--run", out / "other.json")
    assert answer.code == 2
    assert problem in answer.stderr
    assert answer.stderr.count("\n") == 1
