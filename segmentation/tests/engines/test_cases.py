"""What inputs hold, by content."""

import hashlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from pydicom.uid import generate_uid

from mipseg.engines.cases import Case, find_cases
from mipseg.errors import VolumeError
from mipseg.io.write import write_png
from tests.io.pet_files import make_ct, make_slices, write_nifti, write_slices

OUT = Path("out")


def _png(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_png(file, np.full((4, 4), 255, np.uint8))
    return file


def _named(cases: list[Case]) -> dict[str, str]:
    return {case.name: case.path.name for case in cases}


def test_files_are_cases_by_their_names_without_suffix(tmp_path: Path) -> None:
    image, volume = _png(tmp_path / "a.b.png"), write_nifti(tmp_path / "PET.nii.gz")
    assert [case.name for case in find_cases([image, volume], OUT)] == ["a.b", "PET"]


def test_each_file_of_a_folder_is_a_case(tmp_path: Path) -> None:
    _png(tmp_path / "one.png")
    _png(tmp_path / "deep" / "two.png")
    assert _named(find_cases([tmp_path], OUT)) == {"deep_two": "two.png", "one": "one.png"}


def test_pet_and_ct_of_one_study_in_two_folders_are_one_case(tmp_path: Path) -> None:
    write_slices(tmp_path / "STS" / "pet", make_slices())
    write_slices(tmp_path / "STS" / "ct", make_ct())
    (case,) = find_cases([tmp_path / "STS"], OUT)
    assert (case.name, case.path.name, len(case.dicom)) == ("STS", "STS", 9)


def test_each_study_of_an_archive_is_a_case(tmp_path: Path) -> None:
    for patient in ("P1", "P2"):
        study = generate_uid(entropy_srcs=[patient])
        write_slices(tmp_path / patient / "pet", make_slices(StudyInstanceUID=study))
        more = make_slices(StudyInstanceUID=study, SeriesInstanceUID=generate_uid())
        write_slices(tmp_path / patient / "more", more)
    cases = find_cases([tmp_path], OUT)
    assert _named(cases) == {"P1": "P1", "P2": "P2"}
    assert [len(case.dicom) for case in cases] == [12, 12]


def test_a_damaged_file_is_not_passed_over(tmp_path: Path) -> None:
    _png(tmp_path / "one.png")
    for name in ("broken.png", "broken.nii.gz", "notes.txt", ".hidden.png"):
        (tmp_path / name).write_bytes(b"nope")
    cases = find_cases([tmp_path], OUT)
    assert _named(cases) == {"broken": "broken.nii.gz", "broken-2": "broken.png", "one": "one.png"}
    with pytest.raises(VolumeError, match=r"broken\.png is neither DICOM, NIfTI"), cases[1].open():
        pass


def test_previews_beside_dicom_files_are_left_out(tmp_path: Path) -> None:
    write_slices(tmp_path / "pet", make_slices())
    _png(tmp_path / "pet" / "preview.png")
    (case,) = find_cases([tmp_path], OUT)
    assert len(case.dicom) == 6


@pytest.mark.parametrize("path", [".", "deep/.."])
def test_folder_that_is_not_named_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    _png(tmp_path / "deep" / "one.png")
    monkeypatch.chdir(tmp_path)
    assert [case.name for case in find_cases([Path(path)], OUT)] == [tmp_path.name]


def test_equal_names_are_numbered(tmp_path: Path) -> None:
    files = [_png(tmp_path / folder / "a.png") for folder in "xyz"]
    assert [case.name for case in find_cases(files, OUT)] == ["a", "a-2", "a-3"]


def test_earlier_results_are_no_input(tmp_path: Path) -> None:
    _png(tmp_path / "a.png")
    _png(tmp_path / "out" / "a" / "mask.png")
    (tmp_path / "out" / "a" / "measurements.json").touch()
    assert _named(find_cases([tmp_path], tmp_path / "out")) == {tmp_path.name: "a.png"}


@pytest.mark.parametrize("name", ["missing", "empty", "loop"])
def test_what_cannot_be_read_is_a_case_that_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (case,) = find_cases([tmp_path / name], OUT)
    assert case.name == name
    with pytest.raises(VolumeError, match=r"holds no PNG|can't read .*: (No such file|Too many levels)"), case.open():
        pass


def test_loop_of_links_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    _png(tmp_path / "a.png")
    assert len(find_cases([tmp_path], OUT)) == 1


def test_digest_is_of_contents_whatever_their_names(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"1")
    second.write_bytes(b"2")
    digests = sorted(hashlib.sha256(content).hexdigest() for content in (b"1", b"2"))
    wanted = hashlib.sha256("".join(digests).encode()).hexdigest()
    for files in ((first, second), (second, first)):
        assert Case("c", tmp_path, files).sha256() == wanted


def test_a_file_that_can_t_be_read_is_a_case_that_fails_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b", "c.png"):
        _png(tmp_path / name)

    def kind(file: Path) -> str:
        if file.name == "b":
            raise PermissionError(13, "Permission denied", str(file))
        return "image"

    monkeypatch.setattr("mipseg.io.find.file_kind", kind)
    cases = find_cases([tmp_path], tmp_path / "out")
    assert [(case.name, case.problem) for case in cases] == [
        ("a", ""),
        ("b", f"can't read {tmp_path / 'b'}: Permission denied"),
        ("c", ""),
    ]


@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.Spm99AnalyzeImage])
def test_a_pair_of_files_in_a_folder_is_a_case_that_fails(kind: Any, tmp_path: Path) -> None:
    _png(tmp_path / "a.png")
    nib.save(kind(np.ones((2, 3, 4), np.float32), np.eye(4)), tmp_path / "old.img")
    named = {case.name: case.problem for case in find_cases([tmp_path], OUT)}
    problem = "old.hdr is the header of a pair of files (.hdr, .img); write both into one .nii"
    assert named == {"a": "", "old.hdr": problem}
