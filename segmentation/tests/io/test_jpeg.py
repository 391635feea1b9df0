"""JPEG files: whole ones pass, and damaged ones that decoders would repair are refused."""

import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as PillowImage

from mipseg.errors import ImageError
from mipseg.io.codec import decode_image
from mipseg.phantom import make_phantom
from tests.serving.images import body, save


def grey_of(data: bytes) -> npt.NDArray[np.uint8]:
    return decode_image(data)[:, :, 0]


def test_jpeg_is_near_its_original() -> None:
    assert np.abs(grey_of(save(body(), "JPEG", quality=95)).astype(int) - body()).mean() < 3
    assert np.abs(grey_of(save(body(), "JPEG", progressive=True, quality=95)).astype(int) - body()).mean() < 3


JPEGS = {
    f"{name}, quality {quality}": save(image, "JPEG", quality=quality, **options)
    for quality in (50, 90)
    for image, name, options in (
        (make_phantom(2).mip, "grey", {}),
        (np.repeat(make_phantom(2).mip[:, :, None], 3, axis=2), "RGB", {}),
        (make_phantom(2).mip, "optimised", {"optimize": True}),
        (make_phantom(2).mip, "progressive", {"progressive": True}),
        (make_phantom(2).mip, "with restarts", {"restart_marker_rows": 1}),
        (np.full((96, 80), 255, np.uint8), "white", {}),
        (np.full((96, 80), 128, np.uint8), "the grey that decoders fill in", {}),
    )
}


@pytest.mark.parametrize("data", JPEGS.values(), ids=JPEGS.keys())
def test_sound_jpegs_are_accepted(data: bytes) -> None:
    with PillowImage.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.convert("L"))
    np.testing.assert_array_equal(grey_of(data), expected)
    np.testing.assert_array_equal(grey_of(data + b"something else"), expected)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "line ends": lambda data: data.replace(b"\n", b"\r\n"),
    "half and an end": lambda data: data[: len(data) // 2] + b"\xff\xd9",
    "all but 40 bytes and an end": lambda data: data[:-42] + b"\xff\xd9",
    "half": lambda data: data[: len(data) // 2],
    "no end": lambda data: data[:-2],
    "a byte before a part": lambda data: data.replace(b"\xff\xdb", b"x\xff\xdb", 1),
    "a byte more in a part": lambda data: data.replace(b"\xff\xc4\x00", b"\xff\xc4\x01", 1),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("name", [name for name in JPEGS if "90" in name and name.startswith(("grey", "RGB", "with"))])
def test_damaged_jpegs_that_decoders_repair_are_refused(name: str, damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ImageError, match=r"the JPEG is (damaged|cut off)"):
        decode_image(damage(JPEGS[name]))


def test_line_ends_in_the_pixels_alone_are_noticed() -> None:
    data = JPEGS["grey, quality 90"]
    scan = data.index(b"\xff\xda") + 12
    assert data.count(b"\n", scan) > 20
    with pytest.raises(ImageError, match="more data than pixels"):
        decode_image(data[:scan] + data[scan:].replace(b"\n", b"\r\n"))
