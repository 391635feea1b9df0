"""A folder of DICOM files: packed by the page into a ZIP that tells no names, within what the service takes."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

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
    assert told == ["That are too many files", detail]


def test_an_empty_folder_and_several_images_are_told(page: Any, drop: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    drop_path(page, tmp_path / "empty")
    page.wait_for_selector("#problem-title:text-is('There is no file in it')")
    drop(a=_image(), b=_image())
    page.wait_for_selector("#problem-title:text-is('That is more than one image')")


def test_packing_is_told_and_can_be_cancelled(page: Any, folder: Path) -> None:
    page.evaluate("""() => {
      const read = Blob.prototype.arrayBuffer;
      let count = 0;
      Blob.prototype.arrayBuffer = function () {
        return (count += 1) < 200 ? read.call(this) : new Promise(() => {}); // 122 heads, then whole files
      };
    }""")
    drop_path(page, folder)
    page.wait_for_selector("#step:text-is('Packing the files \u2026')")
    page.wait_for_timeout(300)
    assert page.evaluate("document.getElementById('progress').value") == pytest.approx(77 / 121, abs=0.02)
    page.click("#cancel")
    page.wait_for_selector("[data-phase=start]")
