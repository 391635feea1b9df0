"""Window and level: by the right mouse button, a tool, keys and sliders, on images and on volumes."""

from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest

pytestmark = pytest.mark.long
WORDS = "#window-words"
GREY = """async ([x, y]) => {
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  const canvas = document.getElementById("picture"), box = canvas.getBoundingClientRect();
  return canvas.getContext("2d").getImageData(x - box.x, y - box.y, 1, 1).data[0];
}"""
BODY, LESION = (25, 40), (35, 15)  # 200 and 55 grey in the file: intensities 55 and 200 of 255


def grey(page: Any, place: Any, x: float, y: float) -> int:
    return int(page.evaluate(GREY, place(x, y)))


def drag(page: Any, start: tuple[float, float], dx: float, dy: float, button: Any = "right") -> None:
    page.mouse.move(*start)
    page.mouse.down(button=button)
    page.mouse.move(start[0] + dx, start[1] + dy, steps=3)
    page.mouse.up(button=button)


@pytest.fixture
def plain(shown: Any) -> Any:
    """The case without anything over the image."""
    shown.uncheck("#outline")
    shown.fill("#fill", "0")
    return shown


def test_the_sliders_stretch_the_grey(plain: Any, place: Any) -> None:
    assert (grey(plain, place, *BODY), grey(plain, place, *LESION)) == (200, 55)
    plain.fill("#window-high", "0.5")
    plain.fill("#window-low", "0.1")
    # (55 / 255 - 0.1) / 0.4 of the scale; the lesion is beyond the top
    assert (grey(plain, place, *BODY), grey(plain, place, *LESION)) == (181, 0)
    assert plain.inner_text(WORDS) == "intensity 0.10 to 0.50"
    plain.uncheck("#dark-is-hot")
    assert (grey(plain, place, *BODY), grey(plain, place, *LESION)) == (74, 255)
    plain.click("#window-reset")
    assert grey(plain, place, *BODY) == 55
    assert plain.is_disabled("#window-reset")


def test_the_right_button_drags_it(plain: Any, place: Any) -> None:
    x0 = grey(plain, place, *LESION)
    drag(plain, place(40, 50), -138.6, 0)  # half as wide: exp(-138.6 / 200)
    assert plain.inner_text(WORDS) == "intensity 0.25 to 0.75"
    drag(plain, place(40, 50), 0, 40)  # down by a fifth of the width
    assert plain.inner_text(WORDS) == "intensity 0.15 to 0.65"
    assert grey(plain, place, *LESION) < x0
    drag(plain, place(40, 50), 0, 400)
    assert plain.inner_text(WORDS) == "intensity 0.00 to 0.02"  # it never closes
    assert plain.locator("#lesions tr.selected").count() == 0


def test_the_tool_and_its_keys(plain: Any, place: Any) -> None:
    plain.focus("#picture")
    plain.keyboard.press("w")
    drag(plain, place(40, 50), -138.6, 0, button="left")
    assert plain.inner_text(WORDS) == "intensity 0.25 to 0.75"
    plain.keyboard.press("ArrowDown")  # as 20 pixels: a tenth of the width
    assert plain.inner_text(WORDS) == "intensity 0.20 to 0.70"
    plain.keyboard.press("ArrowRight")
    assert plain.inner_text(WORDS) == "intensity 0.17 to 0.73"
    plain.keyboard.press("r")
    assert plain.inner_text(WORDS) == "intensity 0.00 to 1.00"
    plain.keyboard.press("[")
    assert plain.inner_text(WORDS) == "intensity 0.00 to 0.91"
    plain.keyboard.press("]")
    assert plain.inner_text(WORDS) == "intensity 0.00 to 1.00"
    assert plain.inner_text("#count") == "2"  # nothing was corrected


def test_it_begins_anew_with_each_image_and_is_shared(page: Any, file: str) -> None:
    page.click("#samples button:first-child")
    page.wait_for_selector("[data-phase=shown]")
    page.fill("#window-high", "0.4")
    assert parse_qs(urlparse(page.url).query)["window"] == ["0.00-0.40"]
    page.goto(page.url)
    page.wait_for_selector("[data-phase=shown]")
    assert page.inner_text(WORDS) == "intensity 0.00 to 0.40"
    page.set_input_files("#file", file)
    page.wait_for_selector("#name:text-is('patient_1.png')")
    page.wait_for_selector("[data-phase=shown]")
    assert page.inner_text(WORDS) == "intensity 0.00 to 1.00"


def test_volumes_have_it_in_suv(volume: Any) -> None:
    volume.emulate_media(reduced_motion="reduce")
    volume.fill("#window-high", "0.5")
    assert volume.inner_text(WORDS) == "SUV 0.0 to 3.0"
    volume.click("#look-film")
    volume.uncheck("#film-colour")
    middle = """async () => {
      for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
      const canvas = document.getElementById("film-picture");
      return canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[0];
    }"""
    assert volume.evaluate(middle) == 145  # 200 is an intensity of 55, which is shown as 110
    box = volume.locator("#film-picture").bounding_box()
    drag(volume, (box["x"] + 50, box["y"] + 50), 138.6, 0)
    assert volume.inner_text(WORDS) == "SUV 0.0 to 4.5"  # the lower end stays at air
    assert volume.evaluate(middle) == pytest.approx(182, abs=1)
