"""The film of a volume that turns: what it shows, how it plays and stands still."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

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
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_in_the_way(film: Any, width: int, scheme: str) -> None:
    film.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    film.set_viewport_size({"width": width, "height": 800})
    assert film.evaluate("document.documentElement.scrollWidth") <= width
    assert Axe().run(film).response["violations"] == []
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
