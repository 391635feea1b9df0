"""Good images, and files of every kind of PNG, built byte by byte."""

import base64
import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

Pixels = npt.NDArray[np.integer[Any]]
SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def body(height: int = 96, width: int = 80) -> npt.NDArray[np.uint8]:
    """(H, W) uint8: a dark body with a black spot on white air."""
    y, x = np.mgrid[0:height, 0:width]
    y, x = (y - height / 2) / max(height, 2), (x - width / 2) / max(width, 2)
    radius = np.hypot(y, 1.6 * x)
    image = np.where(radius < 0.42, 200 - 60 * np.cos(9 * y), 255.0)
    image[np.hypot(y + 0.1, x - 0.05) < 0.06] = 0
    return image.astype(np.uint8)


def save(pixels: npt.NDArray[Any], kind: str = "PNG", mode: str | None = None, **options: Any) -> bytes:
    """A file as Pillow writes it."""
    buffer = io.BytesIO()
    image = PillowImage.fromarray(pixels)
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def good_png(height: int = 96, width: int = 80) -> bytes:
    """An RGB image as the championship sends it."""
    return save(np.repeat(body(height, width)[:, :, None], 3, axis=2))


def b64(data: bytes) -> str:
    """Standard base64."""
    return base64.b64encode(data).decode()


def from_b64(text: str) -> npt.NDArray[np.uint8]:
    """The pixels of an answer, as a file in base64, without any conversion."""
    with PillowImage.open(io.BytesIO(base64.b64decode(text, validate=True))) as image:
        return np.asarray(image)


def chunk(kind: bytes, data: bytes = b"", *, crc: int | None = None, length: int | None = None) -> bytes:
    """One PNG chunk, sound unless a false checksum or length is asked for."""
    checksum = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data) if length is None else length) + kind + data + struct.pack(">I", checksum)


def header(width: int, height: int, depth: int = 8, colour: int = GREY, interlace: int = 0) -> bytes:
    """An IHDR chunk."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def png(*chunks: bytes) -> bytes:
    """A PNG of these chunks, with signature and IEND."""
    return SIGNATURE + b"".join(chunks) + chunk(b"IEND")


def scanlines(pixels: Pixels, depth: int = 8, interlace: int = 0) -> bytes:
    """(H, W) or (H, W, C) samples as PNG lays them out, unfiltered and uncompressed."""
    parts = [pixels]
    if interlace:
        parts = [pixels[y::dy, x::dx] for x, y, dx, dy in ADAM7]
    lines = [b"\0" + _pack(row.ravel(), depth) for part in parts if part.size for row in part]
    return b"".join(lines)


def build(pixels: Pixels, depth: int = 8, colour: int = GREY, interlace: int = 0, before: bytes = b"") -> bytes:
    """A whole PNG; `before` holds chunks that come between IHDR and IDAT."""
    height, width = pixels.shape[:2]
    data = chunk(b"IDAT", zlib.compress(scanlines(pixels, depth, interlace)))
    return png(header(width, height, depth, colour, interlace), before, data)


def _pack(row: Pixels, depth: int) -> bytes:
    if depth == 16:
        return row.astype(">u2").tobytes()
    if depth == 8:
        return row.astype(np.uint8).tobytes()
    bits = (row[:, None].astype(np.uint8) >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits).tobytes()


def equivalents(grey: npt.NDArray[np.uint8]) -> dict[str, bytes]:
    """Files of every PNG type and depth, plain and interlaced, that show the same image.

    Args:
        grey: (H, W) with at most two values, 0 and 255, so that one bit can hold it.
    """
    found = {}
    for interlace in (0, 1):
        for colour, depths in ((GREY, (1, 2, 4, 8, 16)), (PALETTE, (1, 2, 4, 8))):
            for depth in depths:
                top = 1 if colour == PALETTE else 2**depth - 1
                extra = chunk(b"PLTE", b"\0\0\0\xff\xff\xff") + chunk(b"tRNS", b"\xff") if colour == PALETTE else b""
                samples = (grey // 255).astype(np.int64) * top
                name = f"colour {colour}, {depth} bit, interlace {interlace}"
                found[name] = build(samples, depth, colour, interlace, extra)
        for colour, channels in ((RGB, 3), (GREY_ALPHA, 2), (RGBA, 4)):
            for depth in (8, 16):
                samples = np.repeat(grey[:, :, None].astype(np.int64) * (1 if depth == 8 else 257), channels, axis=2)
                if colour in (GREY_ALPHA, RGBA):
                    samples[:, :, -1] = 255 if depth == 8 else 65535
                    samples[:, :, :-1][grey == 255] = 0  # air may be transparent, whatever its colour
                    samples[:, :, -1][grey == 255] = 0
                name = f"colour {colour}, {depth} bit, interlace {interlace}"
                found[name] = build(samples, depth, colour, interlace)
    found["grey with a transparent value"] = build(grey, 8, GREY, 0, chunk(b"tRNS", b"\0\x07"))
    colours = np.repeat(grey[:, :, None], 3, axis=2)
    found["RGB with a transparent colour"] = build(colours, 8, RGB, 0, chunk(b"tRNS", b"\0\x07\0\x07\0\x07"))
    return found
