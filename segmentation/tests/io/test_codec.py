import struct
import time
import zlib
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import ImageFile

from mipseg.errors import Base64Error, ImageError, ImageTooLargeError, InputError
from mipseg.io.codec import decode_base64, decode_image, decode_request, encode_request
from mipseg.io.sizes import MAX_SIDE
from tests.serving.bad_images import FILES, File, exif
from tests.serving.images import (
    GREY,
    PALETTE,
    RGBA,
    SIGNATURE,
    b64,
    body,
    build,
    chunk,
    equivalents,
    from_b64,
    good_png,
    header,
    png,
    save,
)

BLACK_AND_WHITE = np.where(body(41, 37) < 128, 0, 255).astype(np.uint8)
GOOD = good_png()


def grey_of(data: bytes) -> np.ndarray:
    image = decode_image(data)
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
    assert (image == image[:, :, :1]).all()
    return image[:, :, 0]


@pytest.mark.parametrize("shape", [(1, 1), (1, 991), (400, 1), (3, 5), (96, 80), (489, 400)])
def test_round_trip(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    colours = np.repeat(image[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(decode_request(encode_request(colours)), colours)
    np.testing.assert_array_equal(decode_request(encode_request(image)), colours)
    assert from_b64(encode_request(colours)).shape == (*shape, 3)


@pytest.mark.parametrize("data", equivalents(BLACK_AND_WHITE).values(), ids=equivalents(BLACK_AND_WHITE).keys())
def test_every_kind_of_png_has_the_same_pixels(data: bytes) -> None:
    np.testing.assert_array_equal(grey_of(data), BLACK_AND_WHITE)


def test_all_levels_of_each_depth() -> None:
    for depth in (1, 2, 4, 8):
        levels = np.arange(2**depth, dtype=np.uint8)[None]
        np.testing.assert_array_equal(grey_of(build(levels, depth)), levels.astype(int) * 255 // (2**depth - 1))
    deep = np.arange(0, 65536, 97, dtype=np.uint16)[None]
    np.testing.assert_array_equal(grey_of(build(deep, 16)), deep >> 8)


def test_palette_is_looked_up() -> None:
    palette = chunk(b"PLTE", bytes((5, 5, 5, 250, 250, 250, 76, 76, 76)))
    indices = np.array([[0, 1, 2, 1]], np.uint8)
    for depth in (2, 4, 8):
        np.testing.assert_array_equal(grey_of(build(indices, depth, PALETTE, before=palette)), [[5, 250, 76, 250]])


@pytest.mark.parametrize("palette", [b"", chunk(b"PLTE"), chunk(b"PLTE", bytes(2))])
def test_a_palette_without_colours_is_refused(palette: bytes) -> None:
    with pytest.raises(ImageError, match="its palette has no colours"):
        decode_image(build(np.zeros((2, 2), np.uint8), 8, PALETTE, before=palette))


def test_a_colour_that_the_palette_lacks_is_refused() -> None:
    with pytest.raises(ImageError, match="colours that its palette lacks"):
        decode_image(build(np.array([[0, 1]], np.uint8), 8, PALETTE, before=chunk(b"PLTE", bytes(3))))


@pytest.mark.hazard("H7")
@pytest.mark.parametrize("case", FILES, ids=lambda case: f"{case.item} {case.name}")
def test_file(case: File) -> None:
    if case.status == 422:
        with pytest.raises(ImageTooLargeError if case.item in (32, 33, 37) else ImageError) as caught:
            decode_image(case.data)
        assert len(str(caught.value)) < 300
    elif case.status == 200:
        assert decode_image(case.data).dtype == np.uint8
    else:
        with suppress(ImageError):
            assert decode_image(case.data).dtype == np.uint8


def test_what_follows_a_png_is_left_out() -> None:
    np.testing.assert_array_equal(decode_image(GOOD + b"\xff\xd8\xff" + GOOD), decode_image(GOOD))


def test_limit_of_pixels_and_sides() -> None:
    assert decode_image(build(np.zeros((1, MAX_SIDE), np.uint8))).shape == (1, MAX_SIDE, 3)
    assert decode_image(build(np.zeros((5, 4), np.uint8)), max_pixels=20).shape == (5, 4, 3)
    for pixels, limit in ((np.zeros((5, 4), np.uint8), 19), (np.zeros((MAX_SIDE + 1, 1), np.uint8), 2_000_000)):
        with pytest.raises(ImageTooLargeError, match=f"{limit} pixels"):
            decode_image(build(pixels), limit)


@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (3, 1), (2, 2), (4, 5), (5, 4), (7, 9), (8, 8), (17, 3)])
def test_one_missing_byte_of_pixels_is_noticed(shape: tuple[int, int], interlace: int) -> None:
    for depth, colour, channels in ((1, GREY, 1), (8, GREY, 1), (16, RGBA, 4)):
        pixels = np.full((*shape, channels), 2**depth - 1, np.int64)
        sound = build(pixels, depth, colour, interlace)
        assert decode_image(sound).shape == (*shape, 3)
        start = sound.index(b"IDAT")
        length = struct.unpack(">I", sound[start - 4 : start])[0]
        lines = zlib.decompress(sound[start + 4 : start + 4 + length])
        short = chunk(b"IDAT", zlib.compress(lines[:-1]))
        with pytest.raises(ImageError, match="pixels are missing"):
            decode_image(png(header(shape[1], shape[0], depth, colour, interlace), short))


@pytest.mark.parametrize("orientation", range(2, 9))
def test_any_rotation_by_exif_is_refused(orientation: int) -> None:
    data = build(body(), before=chunk(b"eXIf", exif(orientation)))
    with pytest.raises(ImageError, match="EXIF orientation"):
        decode_image(data)


@pytest.mark.parametrize("orientation", [0, 1])
def test_upright_exif_is_accepted(orientation: int) -> None:
    np.testing.assert_array_equal(grey_of(build(body(), before=chunk(b"eXIf", exif(orientation)))), body())


@pytest.mark.hazard("H9")
@pytest.mark.parametrize("spell", [
    lambda t: t, lambda t: t.rstrip("="), lambda t: t + "==", lambda t: t.replace("+", "-").replace("/", "_"),
    lambda t: "\n".join(t[i : i + 76] for i in range(0, len(t), 76)), lambda t: f" {t}\r\n\t", lambda t: f"\f{t}\v",
    lambda t: "data:image/png;base64," + t, lambda t: "DATA:image/PNG;BASE64," + t,
    lambda t: "data:image/jpeg;base64," + t, lambda t: "data:image/jpg;base64,\n" + t.rstrip("="),
    " ".join,
])  # fmt: skip
def test_12_spellings_of_base64(spell: Callable[[str], str]) -> None:
    data = bytes(range(256)) + b"\xff\xfe\xfd?>" * 5
    assert set("+/=") < set(b64(data))
    assert decode_base64(spell(b64(data))) == data


@pytest.mark.hazard("H9")
@pytest.mark.parametrize("text", [
    "", " ", "=", "====", "a", "abcde", "!!!!", "ab!c", "QUJD=QUJD", "QQ==QQ==", "é", "\ud800", "QUI\0", "QUI\u00a0",
    "QUJD,", "data:;base64,QUJD", "data:text/html;base64,QUJD", "data:image/png,QUJD", "data:image/png;base64,",
    "http://a.b/c.png", "QUJ\uff24",
])  # fmt: skip
def test_junk_is_not_base64(text: str) -> None:
    with pytest.raises(Base64Error) as caught:
        decode_base64(text)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    "text", [" " * 6_000_000, "ab " * 2_000_000, "=" * 6_000_000, "!" * 6_000_000, "a" * 6_000_001]
)
def test_6_mb_of_junk_is_refused_fast(text: str) -> None:
    started = time.process_time()
    with pytest.raises(InputError):
        decode_request(text)
    assert time.process_time() - started < 0.5


SEEDS = [
    GOOD,
    build(BLACK_AND_WHITE // 255, 1, PALETTE, 1, chunk(b"PLTE", b"\0\0\0\xff\xff\xff") + chunk(b"tRNS", b"\x80")),
    build(np.repeat(body(9, 8)[:, :, None].astype(int) * 257, 4, axis=2), 16, RGBA, 0, chunk(b"eXIf", exif(1))),
    save(body(40, 30), "JPEG", exif=b"Exif\0\0" + exif(1)),
    save(body(40, 30), "JPEG", progressive=True),
]


def repaired(data: bytes) -> bytes:
    """A PNG's chunks with checksums that fit, so that a mutation gets as far as the decoder."""
    if not data.startswith(SIGNATURE):
        return data
    place, parts = len(SIGNATURE), [SIGNATURE]
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        if place + 12 + length > len(data):
            break
        parts.append(chunk(data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    return b"".join(parts) + data[place:]


@pytest.mark.hazard("H7")
@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=6),
    st.tuples(st.integers(0, 3000), st.integers(0, 3000)),
    st.booleans(),
)
@example(GOOD, [], (0, 0), False)
def test_mutated_files_raise_our_errors_or_give_a_image(
    seed: bytes, changes: list[tuple[int, int]], cut: tuple[int, int], repair: bool
) -> None:
    data = bytearray(seed)
    for place, value in changes:
        data[place % len(data)] = value
    del data[min(cut) : max(cut) if cut[0] < 30 else min(cut)]
    mutated = repaired(bytes(data)) if repair else bytes(data)
    try:
        image = decode_request(b64(mutated), 100_000)
    except InputError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert 0 < image.shape[0] * image.shape[1] <= 100_000


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: b64(SIGNATURE + data)))
def test_any_text_raises_our_errors(text: str) -> None:
    with pytest.raises(InputError):
        decode_request(text)


def test_damage_is_refused_where_a_library_makes_pillow_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as WeasyPrint does when it is imported
    (file,) = [file for file in FILES if file.name == "filter 9"]
    with pytest.raises(ImageError):
        decode_image(file.data)
