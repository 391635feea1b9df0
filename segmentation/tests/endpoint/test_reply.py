"""Masks of any PNG kind, as the organisers' three-channel decoder takes them; and why others are refused."""

import base64
import io
import json
import struct
import zlib

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from mipseg.endpoint.reply import judge_reply
from mipseg.io.mask_png import as_rgb_png, decode_rgb, encode_png

TUMOUR = np.zeros((9, 7), bool)
TUMOUR[2:5, 1:4] = True
GREY = np.where(TUMOUR, 255, 0).astype(np.uint8)
RGB = np.repeat(GREY[:, :, None], 3, axis=2)


def file_of(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def with_alpha(pixels: npt.NDArray[np.uint8], alpha: int) -> Image.Image:
    image = Image.fromarray(pixels)
    image.putalpha(alpha)
    return image


def palette() -> Image.Image:
    image = Image.fromarray(TUMOUR.astype(np.uint8), "L").convert("P")
    image.putpalette([0, 0, 0, 255, 255, 255])
    return image


def png_16(channels: int, value: int) -> bytes:
    """A PNG with 16 bits a channel, which Pillow can't write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = np.repeat((TUMOUR * value).astype(">u2")[:, :, None], channels, axis=2)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", 7, 9, 16, {1: 0, 3: 2}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def judge(data: bytes) -> tuple[str | None, str]:
    judged = judge_reply((9, 7), json.dumps({"img": base64.b64encode(data).decode()}).encode())
    if judged.mask is not None:
        np.testing.assert_array_equal(judged.mask, RGB)
    return judged.reason, judged.detail


ACCEPTED = {
    "RGB": file_of(Image.fromarray(RGB)),
    "grey": file_of(Image.fromarray(GREY)),
    "1 bit": file_of(Image.fromarray(TUMOUR)),
    "RGBA": file_of(with_alpha(RGB, 255)),
    "RGBA without any opacity": file_of(with_alpha(RGB, 0)),
    "LA": file_of(with_alpha(GREY, 128)),
    "palette": file_of(palette()),
    "palette with a transparent colour": file_of(palette(), transparency=1),
    "palette with half transparent colours": file_of(palette(), transparency=b"\x80\x80"),
    "RGB with a transparent colour": file_of(Image.fromarray(RGB), transparency=(255, 255, 255)),
    "grey of 16 bits": png_16(1, 65535),
    "grey of 16 bits, of which the upper 8 count": png_16(1, 65280),
    "RGB of 16 bits": png_16(3, 65535),
}


@pytest.mark.interop
@pytest.mark.parametrize("name", ACCEPTED)
def test_every_kind_of_png_is_a_mask(name: str) -> None:
    assert judge(ACCEPTED[name]) == (None, "")


@pytest.mark.parametrize(("data", "reason", "detail"), [
    (file_of(Image.fromarray(GREY // 2)), "invalid-mask",
     "the mask may hold only 0 and 255, but 27 values are others, such as 127"),
    (file_of(Image.fromarray(RGB[:, :6])), "invalid-mask",
     "the mask's shape is (9, 6, 3), but the image's is (9, 7, 3)"),
    (file_of(Image.fromarray(RGB * np.array([1, 0, 0], np.uint8))), "invalid-mask",
     "the mask's three channels must be equal: white is tumour, black is none"),
    (png_16(1, 255), None, ""),  # 255 of 65,535 is black, as for the organisers; see below
    (b"GIF89a", "invalid-image", "img is not a PNG"),
    (ACCEPTED["RGB"][:40], "invalid-image", "the PNG is cut off"),
    (ACCEPTED["RGB"][:-20] + b"x" + ACCEPTED["RGB"][-19:], "invalid-image", "the PNG is damaged: a checksum is wrong"),
])  # fmt: skip
def test_why_a_mask_is_refused(data: bytes, reason: str | None, detail: str) -> None:
    if reason is None:
        assert not decode_rgb(data).any()
        return
    assert judge(data) == (reason, detail)


@pytest.mark.parametrize("prefix", ["data:image/png;base64,", "DATA:;base64,", "data:,"])
def test_a_data_url_is_refused_as_by_the_organisers(prefix: str) -> None:
    img = prefix + base64.b64encode(ACCEPTED["RGB"]).decode()
    judged = judge_reply((9, 7), json.dumps({"img": img}).encode())
    assert (judged.reason, judged.mask) == ("invalid-base64", None)
    assert judged.detail == "img is a data: URL; answer with what follows its comma"


def test_a_byte_order_mark_is_skipped_and_many_parts_are_refused() -> None:
    reply = json.dumps({"img": base64.b64encode(ACCEPTED["RGB"]).decode()})
    assert judge_reply((9, 7), reply.encode("utf-8-sig")).reason is None
    many = judge_reply((9, 7), reply[:-1].encode() + b',"more":[' + b"{}," * 50_000 + b"0]}")
    assert (many.reason, many.detail) == ("not-json", "the reply: the JSON has more than 100000 parts")


def test_a_turned_png_is_refused() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert judge(file_of(Image.fromarray(RGB), exif=exif))[0] == "invalid-image"


def test_a_plain_file_stays_as_it_is() -> None:
    plain = encode_png(RGB)
    assert as_rgb_png(plain) is plain
    for name, data in ACCEPTED.items():
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(as_rgb_png(data)))), RGB, err_msg=name)
