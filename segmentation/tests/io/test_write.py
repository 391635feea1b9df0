"""Nothing is ever half there, and volumes lie where their input lies."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mipseg.errors import InputError
from mipseg.io.read import read_volume
from mipseg.io.write import replaced_files, write_csv, write_json, write_nifti
from tests.io.pet_files import (
    AFFINE,
    PHANTOM,
    make_slices,
    orientations,
    turned,
    write_slices,
)
from tests.io.pet_files import (
    write_nifti as input_nifti,
)


def test_files_take_their_places_together_and_old_ones_go(tmp_path: Path) -> None:
    folder = tmp_path / "case"
    folder.mkdir()
    for name in ("a", "b", "last", "notes"):
        (folder / name).write_text("old")
    with replaced_files(folder, ("a", "b", "last"), "last") as partial:
        (partial / "a").write_text("new")
        (partial / "last").write_text("new")
        assert (folder / "a").read_text() == "old"
    assert {file.name: file.read_text() for file in folder.iterdir()} == {"a": "new", "last": "new", "notes": "old"}
    assert [file.name for file in tmp_path.iterdir()] == ["case"]


def test_an_error_on_the_way_leaves_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "a").write_text("old")

    def write() -> None:
        with replaced_files(tmp_path / "case", ("a",), "a") as partial:
            (partial / "a").write_text("ha")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write()
    assert (tmp_path / "case" / "a").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["case"]


def test_files_that_no_earlier_set_brought_stay(tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "b").write_text("mine")
    with (
        pytest.raises(InputError, match="case holds b but no last, so it is not of an earlier run"),
        replaced_files(tmp_path / "case", ("a", "b", "last"), "last"),
    ):
        pass
    assert (tmp_path / "case" / "b").read_text() == "mine"
    assert [file.name for file in tmp_path.iterdir()] == ["case"]


def test_files_of_a_try_that_ended_while_it_moved_them_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    (tmp_path / ".case.partial").mkdir()
    (tmp_path / "case" / "b").write_text("half")
    with replaced_files(tmp_path / "case", ("a", "b", "last"), "last") as partial:
        (partial / "last").write_text("whole")
    assert {file.name: file.read_text() for file in (tmp_path / "case").iterdir()} == {"last": "whole"}


def test_an_earlier_try_that_still_lives_leaves_a_later_one_alone(tmp_path: Path) -> None:
    earlier, later = (replaced_files(tmp_path / "case", ("a", "last"), "last") for _ in range(2))
    for writer, said in ((earlier, "earlier"), (later, "later")):
        partial = writer.__enter__()
        (partial / "a").write_text(said)
        (partial / "last").write_text(said)
    with pytest.raises(FileNotFoundError):
        earlier.__exit__(None, None, None)
    later.__exit__(None, None, None)
    assert {file.name: file.read_text() for file in (tmp_path / "case").iterdir()} == {"a": "later", "last": "later"}
    assert [file.name for file in tmp_path.iterdir()] == ["case"]


def test_json_without_numbers_that_are_not_finite(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_csv_has_empty_cells_for_none(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ("a", "b"), [{"a": None, "b": 0}, {"b": "x,y"}])
    assert (tmp_path / "a.csv").read_text() == 'a,b\n,0\n,"x,y"\n'


def test_csv_has_no_formulas(tmp_path: Path) -> None:
    cells = ["=1+1", "+1", "-1", "@a", "\ta", "a=1", -1.5]
    write_csv(tmp_path / "a.csv", ("a",), [{"a": cell} for cell in cells])
    assert (tmp_path / "a.csv").read_text() == "a\n'=1+1\n'+1\n'-1\n'@a\n'\ta\na=1\n-1.5\n"


@pytest.mark.parametrize("kind", ["nifti", "dicom"])
def test_mask_lies_on_the_input_in_all_orientations(tmp_path: Path, kind: str) -> None:
    """The voxel with each value of the phantom is found at the same place in space, by another reader."""
    wanted = AFFINE @ [*np.argwhere(PHANTOM == 77)[0], 1] * [-1, -1, 1, 1]  # RAS
    for number, (axes, flips) in enumerate(orientations()):
        array, affine = turned(axes, flips)
        if kind == "nifti":
            path = input_nifti(tmp_path / f"{number}.nii", array.astype(np.int16), affine)
            volume = read_volume(path, unit="suv")
        else:
            path = write_slices(tmp_path / str(number), make_slices(array, affine))
            volume = read_volume(path)
            volume.voxels[:] = np.rint(volume.voxels / 0.001)
        out = tmp_path / f"{number}-out.nii.gz"
        write_nifti(out, (volume.voxels == 77).astype(np.uint8), volume.source)
        image = nib.Nifti1Image.from_filename(out)
        (place,) = np.argwhere(np.asarray(image.dataobj))
        for form in (image.get_sform(), image.get_qform()):
            np.testing.assert_allclose(form @ [*place, 1], wanted, atol=1e-4)
        if kind == "nifti":
            assert np.array_equal(np.asarray(image.dataobj), array == 77)
            np.testing.assert_allclose(image.affine, nib.Nifti1Image.from_filename(path).affine, atol=1e-5)


@pytest.mark.parametrize(("shear", "code"), [(0.0, 1), (0.001, 1), (0.015, 0)])
def test_a_qform_is_left_out_where_a_shear_would_move_it(shear: float, code: int, tmp_path: Path) -> None:
    affine = np.diag([2.0, 2, 2, 1])
    affine[0, 2] = 2 * shear
    values = np.random.default_rng(0).uniform(0, 8, (8, 8, 100)).astype(np.float32)
    volume = read_volume(input_nifti(tmp_path / "in.nii", values, affine), unit="suv")
    write_nifti(tmp_path / "out.nii", volume.voxels, volume.source)
    assert nib.Nifti1Image.from_filename(tmp_path / "out.nii").get_qform(coded=True)[1] == code
    again = read_volume(tmp_path / "out.nii", unit="suv")
    np.testing.assert_array_equal(again.voxels, volume.voxels)
    np.testing.assert_allclose(again.affine, volume.affine, atol=1e-5)


def test_the_same_array_gives_the_same_bytes(tmp_path: Path) -> None:
    volume = read_volume(input_nifti(tmp_path / "in.nii"), unit="suv")
    files = [tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"]
    for file in files:
        write_nifti(file, volume.voxels, volume.source)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_set_that_was_not_moved_as_a_whole_is_not_taken_for_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "case"
    folder.mkdir()
    (folder / "last").write_text("old")

    def fail(*_: object) -> None:
        raise OSError("killed")

    def write() -> None:
        with replaced_files(folder, ("a", "last"), "last") as partial:
            (partial / "a").write_text("new")
            (partial / "last").write_text("new")
            monkeypatch.setattr("os.replace", fail)

    with pytest.raises(OSError, match="killed"):
        write()
    assert not (folder / "last").exists()
