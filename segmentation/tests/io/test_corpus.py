"""Images that nobody here made: Go's own test images, from Debian's source package. Each is decoded or refused."""

import os
from collections import Counter
from pathlib import Path

import pytest

from mipseg.errors import InputError
from mipseg.io.codec import decode_image

CORPUS = Path(os.environ.get("MIPSEG_TEST_CORPUS", "nowhere"))
ENDINGS = {".png", ".jpeg", ".jpg", ".gif", ".sng", ".ico", ".webp", ".tiff"}

pytestmark = [
    pytest.mark.hazard("H7"),
    pytest.mark.skipif(not CORPUS.is_dir(), reason="MIPSEG_TEST_CORPUS names no folder with Go's sources"),
]


def outcome(file: Path) -> str:
    """What becomes of a file: `decoded`, or the code of its error; any other exception is a fault."""
    try:
        image = decode_image(file.read_bytes())
    except InputError as error:
        return error.code
    assert image.ndim == 3
    assert (image == image[:, :, :1]).all()
    return "decoded"


def test_every_image_is_decoded_or_refused_by_name() -> None:
    files = [file for file in sorted(CORPUS.rglob("*")) if file.suffix in ENDINGS and file.is_file()]
    assert len(files) >= 80
    found = Counter(outcome(file) for file in files)
    assert found["decoded"] >= 15
    assert found["not-grey"] >= 10
    assert set(found) <= {"decoded", "not-grey", "invalid-image", "image-too-large"}


@pytest.mark.parametrize("name", ["crc32", "noend", "palette", "trunc", "zlib"])
def test_damaged_pngs_are_refused(name: str) -> None:
    (file,) = CORPUS.rglob(f"invalid-{name}.png")
    assert outcome(file) == "invalid-image"


@pytest.mark.parametrize("name", ["basn0g01", "basn0g02", "basn0g04", "basn0g08", "basn0g16", "basn4a08", "basn4a16"])
def test_grey_pngs_of_the_suite_are_decoded(name: str) -> None:
    (file,) = CORPUS.rglob(f"{name}.png")
    assert outcome(file) == "decoded"
    assert decode_image(file.read_bytes()).shape == (32, 32, 3)
