"""A folder of DICOM files: its PET is packed by the page into a ZIP without names, within what the service takes."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

pytestmark = pytest.mark.long
WAITING = "#step:text-is('Waiting for its turn \u2026')"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A series in two folders, with what file managers leave behind."""
    folder = tmp_path / "Doe^John"
    (folder / "deeper" / ".trash").mkdir(parents=True)
    for index in range(120):  # a browser lists a hundred at a time
        (folder / f"john-{index:03d}.dcm").write_bytes(bytes([index]) * (index * 100))
    (folder / "deeper" / "last").write_bytes(b"the last")
    (folder / "deeper" / ".trash" / "old").write_bytes(b"old")
    (folder / ".DS_Store").write_bytes(b"places")
    (folder / "Thumbs.db").write_bytes(b"thumbs")
    (folder / "preview.png").write_bytes(_image())
    return folder


def _image() -> bytes:
    file = io.BytesIO()
    Image.new("L", (80, 100), 200).save(file, "PNG")
    return file.getvalue()


def drop_path(page: Any, path: Path) -> None:
    """Drop a file or folder of this machine, as a person does."""
    client = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        client.send("Input.dispatchDragEvent", {"type": kind, "x": 400, "y": 300, "data": data})


def unpack(form: bytes) -> zipfile.ZipFile:
    """The file of a form, which Python's own reader checks."""
    archive = zipfile.ZipFile(io.BytesIO(form[form.index(b"PK\x03\x04") :]))
    assert archive.testzip() is None
    return archive


def check_series(job: Any) -> None:
    archive = unpack(job.form)
    contents = sorted(archive.read(name) for name in archive.namelist())
    assert contents == sorted([*(bytes([index]) * (index * 100) for index in range(120)), b"the last"])
    assert archive.namelist() == [f"{index:06d}" for index in range(121)]
    assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert b"john" not in job.form.lower()
    assert b'name="formats"' in job.form


def test_a_dropped_folder_becomes_a_job(page: Any, case: Any, make_job: Callable[[], Any], folder: Path) -> None:
    job = make_job()
    drop_path(page, folder)
    page.wait_for_selector(WAITING)
    assert page.inner_text("#name") == "Doe^John"
    check_series(job)


def test_a_chosen_folder_becomes_a_job(page: Any, make_job: Callable[[], Any], folder: Path) -> None:
    job = make_job()
    with page.expect_file_chooser() as chooser:
        page.click("#choose-folder")
    chooser.value.set_files(folder)
    page.wait_for_selector(WAITING)
    assert page.inner_text("#name") == "Doe^John"
    check_series(job)


def test_many_files_are_one_volume(page: Any, make_job: Callable[[], Any], drop: Callable[..., None]) -> None:
    job = make_job()
    drop(first=b"one", second=b"two")
    page.wait_for_selector(WAITING)
    assert page.inner_text("#name") == "2 files"
    assert [unpack(job.form).read(name) for name in ("000000", "000001")] == [b"one", b"two"]


def test_a_folder_of_one_file_is_that_file(page: Any, make_job: Callable[[], Any], tmp_path: Path) -> None:
    job = make_job()
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "scan.nii").write_bytes(b"a single volume")
    drop_path(page, tmp_path / "one")
    page.wait_for_selector(WAITING)
    assert b'name="file"' in job.form
    assert b"PK" not in job.form  # Chromium leaves the content of a file out of what it tells of a request


def test_an_image_with_its_mask_in_a_folder(page: Any, file: str, case: Any, tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    Path(file).rename(tmp_path / "case" / "a.png")
    Image.fromarray(case.mask).save(tmp_path / "case" / "b.png")
    drop_path(page, tmp_path / "case")
    page.wait_for_selector("[data-phase=shown]")
    assert page.inner_text("#dice") == "1.000"


def test_too_much_is_refused_before_it_is_sent(page: Any, folder: Path) -> None:
    sent = list[str]()
    page.on("request", lambda request: sent.append(request.url))
    page.evaluate("() => { Object.defineProperty(Blob.prototype, 'size', {get: () => 5 * 2 ** 20}) }")
    drop_path(page, folder)
    page.wait_for_selector("#problem-title:text-is('That is too large')")
    detail = "It has 605 MB; at most 512 MB are taken. Drop the folder of the PET series alone."
    assert page.inner_text("#problem-detail") == detail
    assert not [url for url in sent if "segment" in url]


def test_too_many_files_are_refused(page: Any) -> None:
    told = page.evaluate("""async () => {
      const {readChosen} = await import("/static/viewer/folder.js");
      const files = Array.from({length: 50_001}, () => ({webkitRelativePath: "scan/1.dcm"}));
      return readChosen(files).files.catch(({title, message}) => [title, message]);
    }""")
    detail = "At most 50000 are taken. Drop the folder of the PET series alone."
    assert told == ["Too many files", detail]


def test_the_services_own_limits_hold(page: Any, folder: Path) -> None:
    about = page.evaluate("fetch('api').then((answer) => answer.json())")
    about["limits"] |= {"max_upload_bytes": 3 << 20, "max_files": 40}
    page.route("**/api", lambda route: route.fulfill(json=about))
    page.reload()
    page.wait_for_selector("#status:text-is('ready')")
    drop_path(page, folder)
    page.wait_for_selector("#problem-title:text-is('Too many files')")
    assert page.inner_text("#problem-detail").startswith("At most 40 are taken.")


def test_an_empty_folder_and_several_images_are_told(page: Any, drop: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    drop_path(page, tmp_path / "empty")
    page.wait_for_selector("#problem-title:text-is('There is no file in it')")
    drop(a=_image(), b=_image())
    page.wait_for_selector("#problem-title:text-is('That is more than one image')")


def test_packing_is_told_and_can_be_cancelled(page: Any, folder: Path, wait_for: Callable[..., None]) -> None:
    page.evaluate("""() => {
      const read = Blob.prototype.arrayBuffer;
      let count = 0;
      Blob.prototype.arrayBuffer = function () {
        return (count += 1) < 321 ? read.call(this) : new Promise(() => {}); // 122 + 121 heads, then whole files
      };
    }""")
    drop_path(page, folder)
    page.wait_for_selector("#step:text-is('Packing the files \u2026')")
    share = "document.getElementById('progress').value"
    wait_for(lambda: page.evaluate(share) > 77 / 121 - 0.02)
    assert page.evaluate(share) == pytest.approx(77 / 121, abs=0.02)
    page.click("#cancel")
    page.wait_for_selector("[data-phase=start]")


SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]


def dicom(modality: str = "", syntax: UID = ExplicitVRLittleEndian, *, bare: bool = False) -> bytes:
    """A DICOM file with two nested sequences before the modality, one of a length that is not told.

    Args:
        modality: empty: it has none.
        syntax: how it is written.
        bare: without preamble and file meta information.
    """
    inner, outer, data = Dataset(), Dataset(), Dataset()
    inner.Modality = "XX"
    inner.CodeValue = "en"
    outer.LanguageCodeSequence = [inner]
    outer["LanguageCodeSequence"].is_undefined_length = True
    outer.Modality = "YY"
    data.SpecificCharacterSet = "ISO_IR 100"
    data.LanguageCodeSequence = [outer, inner]
    data["LanguageCodeSequence"].is_undefined_length = True
    data.IssuerOfAccessionNumberSequence = [inner]
    data.AccessionNumber = "12"
    if modality:
        data.Modality = modality
    data.PatientName = "Doe^John"
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.128")
    data.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    data.file_meta.TransferSyntaxUID = syntax
    file = io.BytesIO()
    is_implicit, is_little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    if bare:
        del data.file_meta
        pydicom.dcmwrite(file, data, implicit_vr=is_implicit, little_endian=is_little)
    else:
        pydicom.dcmwrite(file, data, enforce_file_format=True)
    return file.getvalue()


def modality_of(page: Any, content: bytes) -> str | None:
    """What the page reads."""
    found: str | None = page.evaluate(
        """async (bytes) => {
          const {modalityOf} = await import("/static/viewer/dicom.js");
          return modalityOf(new Uint8Array(bytes));
        }""",
        list(content),
    )
    return found


@pytest.mark.parametrize(
    ("syntax", "bare"), [*((syntax, False) for syntax in SYNTAXES), *((syntax, True) for syntax in SYNTAXES[:2])]
)
def test_the_modality_is_read(page: Any, syntax: UID, bare: bool) -> None:
    assert modality_of(page, dicom("PT", syntax, bare=bare)) == "PT"
    assert modality_of(page, dicom("RTSTRUCT", syntax, bare=bare)) == "RTSTRUCT"


def test_what_has_no_modality_or_does_not_tell_it(page: Any) -> None:
    assert modality_of(page, dicom()) == "other"
    assert modality_of(page, dicom("PT")[:300]) == "unreadable"
    assert modality_of(page, dicom("PT", DeflatedExplicitVRLittleEndian)) == "unreadable"
    for content in (b"", b"NRRD0004\n", b"\x5c\x01\x00\x00" + bytes(344), b"\x08\x00", bytes(1000)):
        assert modality_of(page, content) is None


@pytest.fixture
def pet_ct(tmp_path: Path) -> Path:
    """A folder with a PET, its CT, contours, a directory, notes and a preview."""
    folder = tmp_path / "Doe^John"
    folder.mkdir()
    kinds = ["PT"] * 3 + ["CT"] * 4 + ["RTSTRUCT"]
    for index, kind in enumerate(kinds):
        (folder / f"{index}.dcm").write_bytes(dicom(kind, SYNTAXES[index % 2]))
    (folder / "DICOMDIR").write_bytes(dicom())
    (folder / "cut.dcm").write_bytes(dicom("PT")[:300])
    (folder / "notes.txt").write_text("John's")
    (folder / "preview.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    return folder


def test_of_a_pet_ct_the_pet_alone_is_sent(page: Any, case: Any, make_job: Callable[[], Any], pet_ct: Path) -> None:
    job = make_job()
    drop_path(page, pet_ct)
    page.wait_for_selector(WAITING)
    archive = unpack(job.form)
    sent = sorted(archive.read(name) for name in archive.namelist())
    # What can't be read is left to the service, which names it.
    assert sent == sorted((pet_ct / name).read_bytes() for name in ("0.dcm", "1.dcm", "2.dcm", "cut.dcm"))
    job.finish()
    page.wait_for_selector("[data-phase=shown]")
    words = "Left out and not sent: 4 CT files, 2 other files, 1 picture file, 1 RTSTRUCT file."
    assert page.inner_text("#left-out") == words
    page.route("**/v1/segment", lambda route: route.fulfill(json=case.body()))
    page.set_input_files("#file", {"name": "next.png", "mimeType": "image/png", "buffer": b"\x89PNG"})
    page.wait_for_selector("#verdict:text-is('Tumour found')")
    assert page.inner_text("#left-out") == ""


def test_without_pet_nothing_is_sent(page: Any, pet_ct: Path) -> None:
    sent = list[str]()
    page.on("request", lambda request: sent.append(request.url))
    for name in ("0.dcm", "1.dcm", "2.dcm", "cut.dcm"):
        (pet_ct / name).unlink()
    drop_path(page, pet_ct)
    page.wait_for_selector("#problem-title:text-is('There is no PET in it')")
    words = (
        "Nothing was sent. It has: 4 CT files, 2 other files, 1 picture file, 1 RTSTRUCT file. "
        "Drop the folder of the PET series."
    )
    assert page.inner_text("#problem-detail") == words
    assert not [url for url in sent if "segment" in url]
