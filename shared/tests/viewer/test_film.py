"""The film of a volume that turns: what it shows, how it plays and stands still."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.long
TUMOUR = [213 * 0.75 + 50, 94 * 0.75 + 50, 50]  # over 200 grey
PIXEL = """async ([x, y]) => {
  for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);  // its size is known late
  const canvas = document.getElementById("film-picture");
  return Array.from(canvas.getContext("2d").getImageData(x * canvas.width, y * canvas.height, 1, 1).data);
}"""


def pixel(page: Any, x: float, y: float = 0.5) -> list[int]:
    """Red, green, blue and alpha at a place of the film, in shares of its width and height."""
    return [int(value) for value in page.evaluate(PIXEL, [x, y])]


@pytest.fixture
def film(volume: Any) -> Any:
    """The film, standing at its first frame, 400 pixels high for 24 rows of 5 mm."""
    volume.emulate_media(reduced_motion="reduce")
    volume.click("#look-film")
    return volume


def turn(page: Any, angle: int) -> None:
    page.fill("#film-angle", str(angle))


def test_each_angle_has_its_frame(film: Any) -> None:
    assert film.inner_text("#film-words") == "0\u00b0, seen from the front"
    assert pixel(film, 0.5) == [200, 200, 200, 255]
    turn(film, 130)
    assert film.get_attribute("#film-angle", "aria-valuetext") == "130\u00b0, seen from the back left"
    assert pixel(film, 0.5) == [135, 135, 135, 255]  # 200 - 5 * 13
    turn(film, 270)
    assert pixel(film, 0.5) == [155, 155, 155, 255]  # the frame of 90 degrees
    film.uncheck("#dark-is-hot")
    assert pixel(film, 0.5) == [100, 100, 100, 255]


def test_lesions_are_in_colour_and_mirrored_from_behind(film: Any) -> None:
    box = film.locator("#film-picture").bounding_box()
    edge = 0.5 * (30 * 4 / (24 * 5)) * box["height"] / box["width"] * 0.95  # as wide as high, in the middle
    assert pixel(film, 0.5 + edge)[:3] == pytest.approx(TUMOUR, abs=4)
    assert pixel(film, 0.5 - edge)[:3] == [200, 200, 200]
    turn(film, 180)
    assert pixel(film, 0.5 - edge)[:3] == pytest.approx(TUMOUR, abs=4)
    assert pixel(film, 0.5 + edge)[:3] == [200, 200, 200]
    film.uncheck("#film-colour")
    assert pixel(film, 0.5 - edge)[:3] == [200, 200, 200]


EDGE = """async () => {
  for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
  const canvas = document.getElementById("film-picture"), {width, height} = canvas, middle = Math.round(height / 2);
  const row = canvas.getContext("2d").getImageData(0, middle, width, 1).data;
  const found = [];
  for (let x = 0; x < width; x++) {
    const [red, green, blue, alpha] = row.subarray(4 * x);
    if (alpha === 255 && red < 30 && Math.abs(green - 114) < 30 && Math.abs(blue - 178) < 30) found.push(x);
  }
  return found.length ? [found[0] / width, found.at(-1) / width] : null;
}"""


def test_the_chosen_lesion_is_outlined(film: Any) -> None:
    assert film.evaluate(EDGE) is None
    film.click("#volume tbody tr:first-child")
    assert film.get_attribute("#look-film", "aria-pressed") == "true"  # it stays in the film
    assert film.locator("#volume tr.selected").count() == 1
    box = film.locator("#film-picture").bounding_box()
    share = (30 * 4 / (24 * 5)) * box["height"] / box["width"]  # of the film's width that the frame takes
    left, right = film.evaluate(EDGE)  # the three columns at the right of thirty
    assert (left, right) == pytest.approx((0.5 + share * (0.5 - 3 / 30), 0.5 + share / 2), abs=0.01)
    turn(film, 180)
    left, right = film.evaluate(EDGE)
    assert (left, right) == pytest.approx((0.5 - share / 2, 0.5 - share * (0.5 - 3 / 30)), abs=0.01)
    film.keyboard.press("Escape")
    film.click("#look-film")
    assert film.evaluate(EDGE) is not None


def test_a_click_in_the_film_chooses(film: Any) -> None:
    box = film.locator("#film-picture").bounding_box()
    share = (30 * 4 / (24 * 5)) * box["height"] / box["width"]
    lesion = (box["width"] * (0.5 + share * 0.45), box["height"] / 2)
    film.click("#film-picture", position={"x": lesion[0], "y": lesion[1]})
    assert film.locator("#volume tr.selected").count() == 1
    assert film.locator("#lesions tr.selected td:first-child").inner_text() == "1"  # the same in the projection
    film.click("#film-picture", position={"x": box["width"] / 2, "y": box["height"] / 2})
    assert film.locator("#volume tr.selected").count() == 0
    film.click("#lesions tbody tr:first-child")  # and from the projection to the film
    assert film.locator("#volume tr.selected").count() == 1
    assert film.evaluate(EDGE) is not None
    film.click("#lesions tbody tr:nth-child(2)")
    assert film.evaluate(EDGE) is None


def test_the_numbers_of_a_palette_are_read_through_all_filters(page: Any) -> None:
    numbers = np.random.default_rng(0).integers(0, 6, (40, 30), np.uint8)  # few, so that neighbours tie
    rows, before = b"", np.zeros(30, int)
    for index, row in enumerate(numbers.astype(int)):
        kind, left, corner = index % 5, np.roll(row, 1), np.roll(before, 1)
        left[0] = corner[0] = 0
        steps = np.stack([left, before, corner])
        nearest = np.abs(left + before - corner - steps).argmin(axis=0)
        guess = (0 * row, left, before, (left + before) // 2, np.take_along_axis(steps, nearest[None], 0)[0])[kind]
        rows += bytes([kind]) + ((row - guess) % 256).astype(np.uint8).tobytes()
        before = row
    file = io.BytesIO()
    picture = Image.fromarray(numbers)
    picture.putpalette([0] * 768)
    picture.save(file, "PNG")
    data = file.getvalue()
    packed, start = zlib.compress(rows), data.index(b"IDAT")
    chunk = struct.pack(">I", len(packed)) + b"IDAT" + packed + struct.pack(">I", zlib.crc32(b"IDAT" + packed))
    data = data[: start - 4] + chunk + data[data.index(b"IEND") - 4 :]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), numbers)  # it is such a PNG
    read = page.evaluate(
        """async (bytes) => {
          const {readPalettePng} = await import("/static/viewer/palette_png.js");
          return [...(await readPalettePng(new Blob([new Uint8Array(bytes)]))).numbers];
        }""",
        list(data),
    )
    assert read == numbers.ravel().tolist()


def test_it_plays_and_stands_still(volume: Any) -> None:
    volume.focus("#picture")
    volume.keyboard.press("t")
    assert volume.inner_text("#film-play") == "Pause"
    volume.wait_for_selector("#film-words:text-matches('^[1-9]0')")
    turn(volume, 350)
    volume.click("#film-play")
    volume.wait_for_selector("#film-words:text-matches('^[1-9]0')")  # round and round
    volume.focus("#film-angle")
    volume.keyboard.press("ArrowRight")  # the slider has the focus
    stands = volume.input_value("#film-angle")
    assert volume.inner_text("#film-play") == "Play"
    volume.wait_for_timeout(300)
    assert volume.input_value("#film-angle") == stands
    volume.click("#film-play")
    volume.wait_for_selector(f"#film-words:not(:text-matches('^{stands}'))")
    volume.keyboard.press("Escape")
    assert volume.get_attribute("#look-front", "aria-pressed") == "true"
    assert volume.evaluate("document.activeElement.id") == "picture"
    assert not volume.is_visible("#film")


def test_it_waits_where_motion_is_not_wished(film: Any) -> None:
    film.wait_for_timeout(300)
    assert (film.input_value("#film-angle"), film.inner_text("#film-play")) == ("0", "Play")


@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_is_in_the_way(film: Any, width: int) -> None:
    film.set_viewport_size({"width": width, "height": 800})
    assert film.evaluate("document.documentElement.scrollWidth") <= width
    stage = film.locator("#stage").bounding_box()
    for part in ("#looks", ".film-bar"):
        box = film.locator(part).bounding_box()
        assert stage["x"] <= box["x"]
        assert box["x"] + box["width"] <= stage["x"] + stage["width"]
        assert box["y"] + box["height"] <= stage["y"] + stage["height"]


def test_images_have_none(shown: Any) -> None:
    assert not shown.is_visible("#looks")
    shown.focus("#picture")
    shown.keyboard.press("t")
    assert shown.get_attribute("#stage", "data-look") == "front"
