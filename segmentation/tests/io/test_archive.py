"""ZIP archives: what they hold is read, what they try is refused."""

import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mipseg.errors import VolumeError
from mipseg.io import archive
from mipseg.io.read import read_volume
from tests.io.pet_files import FACTOR, PHANTOM, SLOPE, make_ct, make_slices, write_nifti, write_slices


def make_zip(file: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in content.items():
            packed.writestr(name, data)
    return file


def refused(file: Path) -> str:
    with pytest.raises(VolumeError) as caught:
        read_volume(file)
    return str(caught.value)


def test_a_dicom_series_in_an_archive_and_its_headers_outlive_it(tmp_path: Path) -> None:
    write_slices(tmp_path / "s", make_slices() + make_ct())
    content = {f"study/a/{file.name}": file.read_bytes() for file in (tmp_path / "s").iterdir()}
    volume = read_volume(make_zip(tmp_path / "a.zip", content))
    np.testing.assert_allclose(volume.voxels, PHANTOM * SLOPE * FACTOR, rtol=1e-6)
    assert [header.InstanceNumber for header in volume.source.headers] == [1, 2, 3, 4, 5, 6]


def test_a_nifti_file_in_an_archive(tmp_path: Path) -> None:
    data = write_nifti(tmp_path / "a.nii.gz").read_bytes()
    volume = read_volume(make_zip(tmp_path / "a.zip", {"a.nii.gz": data, "__MACOSX/._a": b"\0"}))
    np.testing.assert_allclose(volume.voxels, PHANTOM * SLOPE * FACTOR, rtol=1e-6)


@pytest.mark.parametrize("name", ["../a", "/etc/a", "a/../../b", "..\\a", "C:\\a", "C:/a"])
def test_names_that_lead_out_of_it(name: str, tmp_path: Path) -> None:
    assert "holds a name that leads out of it" in refused(make_zip(tmp_path / "a.zip", {name: b"x"}))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_members(method: int, tmp_path: Path) -> None:
    data = write_nifti(tmp_path / "a.nii").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as packed:
        packed.writestr("a.nii", data)
    whole = (tmp_path / "a.zip").read_bytes()
    for place in range(60, 120, 7):
        (tmp_path / "a.zip").write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        assert refused(tmp_path / "a.zip") == "a.zip is not a sound ZIP archive; it may be cut off"


def test_a_symbolic_link(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr(link, "/etc/passwd")
    assert "holds a symbolic link: 'link'" in refused(tmp_path / "a.zip")


def test_a_bomb_is_refused_by_its_table_of_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "UNSUSPICIOUS_BYTES", 10_000)
    make_zip(tmp_path / "a.zip", {"a": bytes(1_000_000)})
    assert "would unpack to 0.0 GiB; at most 4 GiB and 200 times the archive" in refused(tmp_path / "a.zip")
    monkeypatch.setattr(archive, "MAX_FILES", 2)
    assert "holds 3 files; at most 2" in refused(make_zip(tmp_path / "b.zip", dict.fromkeys("abc", b"")))


def test_a_member_never_unpacks_to_more_than_it_claims(tmp_path: Path) -> None:
    """The sizes in the table are lies; what is written stays within them."""
    file = make_zip(tmp_path / "a.zip", {"a": bytes(1_000_000)})
    true, lie = (1_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little")
    file.write_bytes(file.read_bytes().replace(true, lie))
    (tmp_path / "out").mkdir()
    with pytest.raises(VolumeError, match="not a sound ZIP archive"):
        archive.unpack_zip(file, tmp_path / "out")
    assert sum(unpacked.stat().st_size for unpacked in (tmp_path / "out").iterdir()) <= 100


def test_an_archive_in_an_archive_stays_closed(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "b.zip", {"a": b"x"}).read_bytes()
    text = refused(make_zip(tmp_path / "a.zip", {"b.zip": inner}))
    assert text == "a.zip holds no DICOM, NIfTI, MHA or NRRD file, but 1 archives, which are not opened"


def test_damaged_empty_and_encrypted_archives(tmp_path: Path) -> None:
    file = make_zip(tmp_path / "a.zip", {"a": bytes(range(256)) * 100})
    whole = file.read_bytes()
    for length in range(4, len(whole), 20):
        file.write_bytes(whole[:length])
        assert "a.zip is not a sound ZIP archive; it may be cut off" in refused(file)
    file.write_bytes(whole[:60] + bytes(20) + whole[80:])
    assert "not a sound ZIP archive" in refused(file)
    assert "holds no DICOM" in refused(make_zip(tmp_path / "b.zip", {}))
    flagged = bytearray(whole)
    place = flagged.index(b"PK\x01\x02") + 8
    flagged[place] |= 1
    file.write_bytes(flagged)
    assert "is encrypted" in refused(file)
