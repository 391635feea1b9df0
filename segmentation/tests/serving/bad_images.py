"""Files that must be refused, or accepted in spite of their looks: items 27 to 46 of the list of bad inputs."""

import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image as PillowImage

from tests.serving.images import (
    GREY,
    PALETTE,
    RGB,
    SIGNATURE,
    body,
    build,
    chunk,
    equivalents,
    good_png,
    header,
    png,
    save,
    scanlines,
)

TAIL = b"tail-that-must-not-come-back"


class File(NamedTuple):
    """One input: its item in the list, a name, the bytes, and the status that it must get."""

    item: int
    name: str
    data: bytes
    status: int = 422


def idat(height: int = 96, width: int = 80) -> bytes:
    """The pixels of a grey image as an IDAT chunk."""
    return chunk(b"IDAT", zlib.compress(scanlines(body(height, width))))


def text_bomb() -> bytes:
    """A zTXt chunk of a few kB that unpacks to 30 MB."""
    return chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(30_000_000)))


def exif(orientation: int) -> bytes:
    """An EXIF block with nothing but an orientation."""
    return b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0) + bytes(4)


def damaged() -> Iterator[File]:
    """Items 27 to 34: PNGs that are not whole or whose header lies."""
    good, ihdr = good_png(), header(80, 96)
    yield File(27, "signature only", SIGNATURE)
    yield File(27, "header only", SIGNATURE + ihdr)
    yield File(28, "cut at 50 %", good[: len(good) // 2])
    yield File(28, "cut by one byte", good[:-1])
    yield File(29, "no IEND", good[:-12])
    wrong = chunk(b"IDAT", zlib.compress(scanlines(body())), crc=1)
    yield File(30, "wrong IDAT checksum", png(ihdr, wrong))
    yield File(30, "wrong IHDR checksum", png(chunk(b"IHDR", ihdr[8:-4], crc=1), idat()))
    for width, height in ((0, 96), (80, 0), (0, 0)):
        yield File(31, f"{width} x {height}", png(header(width, height), idat()))
    yield File(32, "claims 40,000 x 40,000", png(header(40_000, 40_000), chunk(b"IDAT", zlib.compress(b""))))
    yield File(33, "sides of 2^31 - 1", png(header(2**31 - 1, 2**31 - 1), idat()))
    yield File(33, "sides of 2^32 - 1", png(header(2**32 - 1, 2**32 - 1), idat()))
    lines = scanlines(body())
    yield File(34, "no IDAT", png(ihdr))
    yield File(34, "empty IDAT", png(ihdr, chunk(b"IDAT")))
    yield File(34, "half of the rows", png(ihdr, chunk(b"IDAT", zlib.compress(lines[: len(lines) // 2]))))
    yield File(34, "all but one pixel", png(ihdr, chunk(b"IDAT", zlib.compress(lines[:-1]))))
    yield File(34, "compressed rows cut", png(ihdr, chunk(b"IDAT", zlib.compress(lines)[:-200])))
    yield File(34, "rows not compressed", png(ihdr, chunk(b"IDAT", lines)))
    checksum = bytearray(zlib.compress(lines))
    checksum[-1] ^= 1
    yield File(34, "wrong zlib checksum", png(ihdr, chunk(b"IDAT", bytes(checksum))))
    yield File(35, "30 MB zTXt", png(ihdr, text_bomb(), idat()))
    yield File(35, "30 MB zTXt behind the pixels", png(ihdr, idat(), text_bomb()))
    profile = chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(30_000_000)))
    yield File(35, "30 MB iCCP", png(ihdr, profile, idat()))


def malformed() -> Iterator[File]:
    """Item 36: chunks in the wrong order or of the wrong length; the status 0 stands for 200 or 422."""
    ihdr, pixels = header(80, 96), idat()
    data = zlib.compress(scanlines(body()))
    half = chunk(b"IDAT", data[:99]), chunk(b"IDAT", data[99:])
    indexed = header(80, 96, 8, PALETTE)
    yield File(36, "IHDR second", png(chunk(b"tEXt", b"a\0b"), ihdr, pixels), 422)
    yield File(36, "no IHDR", png(pixels), 422)
    yield File(36, "IHDR of 12 bytes", png(chunk(b"IHDR", ihdr[8:-5]), pixels), 422)
    yield File(36, "IHDR of 14 bytes", png(chunk(b"IHDR", ihdr[8:-4] + b"\0"), pixels), 422)
    yield File(36, "second, larger IHDR", png(ihdr, header(9000, 9000), pixels), 0)
    yield File(36, "second IHDR behind the pixels", png(ihdr, pixels, header(9000, 9000)), 0)
    yield File(36, "IDAT in parts", png(ihdr, *half), 200)
    yield File(36, "IDAT apart", png(ihdr, half[0], chunk(b"tEXt", b"a\0b"), half[1]), 0)
    yield File(36, "200,000 empty IDAT", png(ihdr, chunk(b"IDAT") * 200_000, pixels), 0)
    yield File(36, "no palette", png(indexed, pixels), 422)
    yield File(36, "palette behind the pixels", png(indexed, pixels, chunk(b"PLTE", bytes(768))), 0)
    yield File(36, "palette of 5 bytes", png(indexed, chunk(b"PLTE", bytes(5)), pixels), 0)
    yield File(36, "palette of 3 MB", png(indexed, chunk(b"PLTE", bytes(3_000_000)), pixels), 0)
    yield File(36, "index outside of the palette", png(indexed, chunk(b"PLTE", bytes(3)), pixels), 422)
    yield File(36, "tRNS without palette", png(indexed, chunk(b"tRNS", b"\0"), pixels), 0)
    yield File(36, "tRNS of 2,000 bytes", png(ihdr, chunk(b"tRNS", bytes(2000)), pixels), 0)
    yield File(36, "tRNS of 1 byte for grey", png(ihdr, chunk(b"tRNS", b"\0"), pixels), 0)
    yield File(36, "empty ancillary chunks", png(ihdr, *map(chunk, (b"gAMA", b"cHRM", b"pHYs", b"eXIf")), pixels), 0)
    yield File(36, "unknown critical chunk", png(ihdr, chunk(b"ABCD", b"x"), pixels), 0)
    yield File(36, "chunk name not letters", png(ihdr, chunk(b"\0\xff\n ", b"x"), pixels), 0)
    yield File(36, "length 2^32 - 1", png(ihdr, chunk(b"tEXt", b"a\0b", length=2**32 - 1), pixels), 422)
    yield File(36, "length one too large", png(ihdr, chunk(b"IDAT", data, length=len(data) + 1)), 422)
    yield File(36, "depth 3", png(header(80, 96, 3), pixels), 422)
    yield File(36, "colour type 5", png(header(80, 96, 8, 5), pixels), 422)
    yield File(36, "RGB of 4 bits", png(header(80, 96, 4, RGB), pixels), 422)
    yield File(36, "interlace 2", png(header(80, 96, 8, GREY, 2), pixels), 0)
    yield File(36, "filter 9", png(ihdr, chunk(b"IDAT", zlib.compress(b"\x09" * len(scanlines(body()))))), 422)
    yield File(36, "128 MiB of pixels behind the image's", png(ihdr, overlong_idat()), 0)


def overlong_idat() -> bytes:
    """An IDAT that unpacks to the image and then goes on for 128 MiB."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(scanlines(body()))]
    parts += [packer.compress(bytes(2**24)) for _ in range(8)]
    return chunk(b"IDAT", b"".join(parts) + packer.flush())


def foreign() -> Iterator[File]:
    """Items 37 to 40 and 45: too large, turned, or of another format."""
    yield File(37, "2001 x 1000", good_png(1000, 2001))
    yield File(37, "1 x 10,001", build(np.zeros((1, 10_001), np.uint8)))
    rgb = np.repeat(body()[:, :, None], 3, axis=2)
    yield File(37, "JPEG of 2001 x 1000", save(np.zeros((1000, 2001), np.uint8), "JPEG"))
    jpeg = save(rgb, "JPEG")
    size = jpeg.index(b"\xff\xc0") + 5
    for side in (10_000, 65_535):
        claim = jpeg[:size] + struct.pack(">HH", side, side) + jpeg[size + 4 :]
        yield File(37, f"JPEG claims {side} x {side}", claim)
    yield File(38, "PNG with EXIF orientation 6", png(header(80, 96), chunk(b"eXIf", exif(6)), idat()))
    yield File(38, "the same behind the pixels", png(header(80, 96), idat(), chunk(b"eXIf", exif(6))))
    yield File(38, "JPEG with EXIF orientation 6", save(rgb, "JPEG", exif=b"Exif\0\0" + exif(6)))
    for kind in ("GIF", "TIFF", "WEBP", "EPS", "PDF", "BMP", "PPM", "ICO", "TGA", "JPEG2000"):
        yield File(39, kind, save(rgb, kind))
    svg = b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>'
    yield File(39, "SVG with an external entity", svg)
    yield File(40, "DICOM", bytes(128) + b"DICM\x02\0\0\0UL\x04\0\xc0\0\0\0")
    yield File(40, "ZIP", archive())
    yield File(40, "pickle", pickle.dumps({"a": rgb}))
    yield File(45, "CMYK JPEG", save(rgb, "JPEG", "CMYK"))
    yield File(45, "JPEG cut at 50 %", jpeg[: len(jpeg) // 2])
    yield File(45, "JPEG marker only", b"\xff\xd8\xff")
    yield File(45, "JPEG of 5,000 scans", many_scans())


def many_scans() -> bytes:
    """A progressive JPEG whose last scan is repeated: some 100 kB that would take minutes to decode."""
    jpeg = save(np.zeros((1400, 1400), np.uint8), "JPEG", progressive=True)
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:-2] + 5000 * jpeg[last:-2] + jpeg[-2:]


def archive() -> bytes:
    """A ZIP that holds the tail."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a.txt", TAIL)
    return buffer.getvalue()


def animation() -> bytes:
    """An APNG whose second frame is black."""
    buffer = io.BytesIO()
    frames = [PillowImage.fromarray(image) for image in (body(), np.zeros_like(body()))]
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def unusual() -> Iterator[File]:
    """Items 41 to 46: odd, but sound."""
    yield File(41, "PNG with a ZIP behind it", good_png() + archive(), 200)
    for height, width in ((1, 1), (1, 991), (400, 1)):
        yield File(42, f"{height} rows, {width} columns", good_png(height, width), 200)
    black_and_white = np.where(body() < 128, 0, 255).astype(np.uint8)
    for name, data in equivalents(black_and_white).items():
        yield File(43, name, data, 200)
    yield File(44, "APNG", animation(), 200)
    for progressive in (False, True):
        yield File(45, f"JPEG, progressive {progressive}", save(body(), "JPEG", progressive=progressive), 200)
    noise = np.random.default_rng(0).integers(0, 256, (400, 400), np.uint8)
    for name, pixels in (("black", 0 * noise), ("white", 0 * noise + 255), ("noise", noise)):
        yield File(46, name, save(pixels), 200)


FILES = [*damaged(), *malformed(), *foreign(), *unusual()]
