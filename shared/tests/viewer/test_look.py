"""Looking: zoom, pan, the links between table and picture, keys, the address, and who can't see or point."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest

pytestmark = pytest.mark.long
DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
A, B = (35, 15), (47, 52)  # x and y inside of the two lesions


def marked(page: Any, kind: str) -> list[str]:
    return list(page.locator(f"#lesions tr.{kind} td:first-child").all_inner_texts())


def test_table_and_picture_are_linked(shown: Any, place: Any) -> None:
    shown.mouse.move(*place(*B))
    assert marked(shown, "hovered") == ["2"]
    shown.mouse.move(*place(5, 5))
    assert marked(shown, "hovered") == []
    shown.mouse.click(*place(*A))
    assert marked(shown, "selected") == ["1"]
    shown.mouse.click(*place(5, 5))
    assert marked(shown, "selected") == []
    before = shown.locator("#picture").screenshot()
    shown.hover("#lesions tbody tr:nth-child(2)")
    shown.evaluate(DRAWN)
    assert shown.locator("#picture").screenshot() != before
    shown.click("#lesions tbody tr:nth-child(2)")
    assert marked(shown, "selected") == ["2"]
    assert shown.get_attribute("#lesions tbody tr:nth-child(2) button", "aria-pressed") == "true"


def test_what_is_under_the_pointer(shown: Any, place: Any, make_job: Callable[[], Any]) -> None:
    readout = "() => document.getElementById('readout').textContent"
    shown.mouse.move(*place(*A))
    assert shown.evaluate(readout) == "intensity 0.78, probability 0.90"
    shown.mouse.move(*place(-2, 50))
    assert shown.evaluate(readout) == ""
    make_job().finish()
    shown.set_input_files("#file", {"name": "scan.nii", "mimeType": "", "buffer": b"NIfTI"})
    shown.wait_for_selector("#volume .swatch")
    shown.mouse.move(*place(*A))
    assert shown.evaluate(readout) == "SUV 4.7, probability 0.90"
    shown.hover("#verdict")
    assert shown.evaluate(readout) == ""


def test_keys_go_from_lesion_to_lesion(shown: Any) -> None:
    for key, wanted in (
        ("n", ["1"]),
        ("n", ["2"]),
        ("n", ["1"]),
        ("p", ["2"]),
        ("Escape", []),
        ("p", ["2"]),
        ("Escape", []),
    ):
        shown.keyboard.press(key)
        assert marked(shown, "selected") == wanted
    shown.keyboard.press("o")
    assert not shown.is_checked("#outline")
    shown.keyboard.press("h")
    assert shown.is_checked("#heat")
    shown.keyboard.press("?")
    assert shown.is_visible("#keys dd:text-is('next lesion')")
    shown.keyboard.press("Escape")
    assert not shown.is_visible("#keys")
    shown.focus("#threshold")
    shown.keyboard.press("n")  # keys of the picture are not those of the page
    assert marked(shown, "selected") == []


def dark_centre(page: Any) -> tuple[float, float, int]:
    """Where lesion A is on the screen: the middle of what is darkest, and how many pixels of the screen that is."""
    page.evaluate(DRAWN)
    x, y, count = page.eval_on_selector(
        "#picture",
        """canvas => {
          const {width, height} = canvas, data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
          let [x, y, count] = [0, 0, 0];
          for (let i = 0; i < width * height; i++) {
            if (data[4 * i + 3] === 255 && data[4 * i] < 60) { x += i % width; y += Math.floor(i / width); count++ }
          }
          return [x / count, y / count, count];
        }""",
    )
    return float(x), float(y), int(count)


def show_image_alone(page: Any) -> None:
    page.evaluate("document.getElementById('fill').value = 0")
    page.dispatch_event("#fill", "input")
    page.uncheck("#outline")


def test_zoom_and_pan(shown: Any, place: Any) -> None:
    show_image_alone(shown)
    x0, y0, count = dark_centre(shown)
    shown.mouse.move(*place(*A))
    shown.mouse.wheel(0, -347)  # twice as close: exp(0.002 * 347)
    x1, y1, closer = dark_centre(shown)
    assert closer == pytest.approx(4 * count, rel=0.05)
    assert (x1, y1) == pytest.approx((x0, y0), abs=8)  # what is under the pointer stays there
    shown.mouse.down()
    start = place(*A)
    shown.mouse.move(start[0] - 40, start[1] - 25, steps=4)
    shown.mouse.up()
    x2, y2, _ = dark_centre(shown)
    assert (x2 - x1, y2 - y1) == pytest.approx((-40, -25), abs=1)
    assert marked(shown, "selected") == []  # a drag is not a click
    shown.focus("#picture")
    shown.keyboard.press("ArrowUp")
    assert dark_centre(shown)[1] == pytest.approx(y2 + 60, abs=1)
    shown.keyboard.press("0")
    assert dark_centre(shown)[:2] == pytest.approx((x0, y0), abs=1)
    shown.click("#zoom-in")
    assert dark_centre(shown)[2] > 1.3 * count
    shown.click("#zoom-fit")
    assert dark_centre(shown)[2] == pytest.approx(count, rel=0.01)


def test_two_fingers_zoom(shown: Any, place: Any) -> None:
    show_image_alone(shown)
    before = dark_centre(shown)[2]
    assert before > 1000
    (x, y), client = place(*A), shown.context.new_cdp_session(shown)
    for step in range(6):
        points = [{"x": x - 20 - 4 * step, "y": y, "id": 1}, {"x": x + 20 + 4 * step, "y": y, "id": 2}]
        kind = "touchMove" if step else "touchStart"
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert dark_centre(shown)[2] == pytest.approx(before * (40 / 20) ** 2, rel=0.1)


def test_the_size_of_pixels_gives_areas_and_a_scale(shown: Any, case: Any) -> None:
    assert not shown.is_visible("#scale")
    shown.fill("#pixel-size", "two")
    shown.click("#spacing button")
    assert shown.inner_text("#spacing-words") == "Enter the millimetres of a pixel's side, above 0 and at most 100."
    shown.route("**/v1/segment", lambda route: route.fulfill(json=case.body((4.0, 4.0))))
    shown.fill("#pixel-size", "4,0")
    with shown.expect_request("**/v1/segment") as request:
        shown.click("#spacing button")
    assert b'name="pixel_spacing"\r\n\r\n4,4\r\n' in request.value.post_data_buffer
    shown.wait_for_selector("#scale")
    assert shown.inner_text("#area") == "19.2 cm²"  # 120 pixels of 16 mm²
    assert shown.locator("#lesions tbody tr:first-child td:nth-child(2)").inner_text() == "16.00"
    height = shown.locator("#picture").bounding_box()["height"]
    length = shown.locator("#scale-bar").bounding_box()["width"]
    assert shown.inner_text("#scale-text") == "5 cm"
    assert length == pytest.approx(50 / 4 * (height - 24) / 100, rel=0.01)


def test_the_address_holds_what_can_be_shared(page: Any, case: Any) -> None:
    page.click("#samples button:first-child")
    page.wait_for_selector("[data-phase=shown]")
    page.eval_on_selector("#threshold", "s => { s.value = 256 - 77; s.dispatchEvent(new Event('input')) }")
    page.check("#heat")
    page.uncheck("#dark-is-hot")
    query = parse_qs(urlparse(page.url).query)
    assert query == {"sample": ["patient"], "threshold": ["0.302"], "heat": ["1"], "dark": ["air"]}
    area = page.inner_text("#area")
    page.goto(page.url)
    page.wait_for_selector("[data-phase=shown]")
    page.wait_for_selector(f"#area:text-is('{area}')")
    assert page.is_checked("#heat")
    assert not page.is_checked("#dark-is-hot")
    page.goto("/?sample=../secret&threshold=no&fill=x")
    page.wait_for_selector("#status.good")
    assert page.is_visible("#start")


def test_a_file_leaves_no_trace(shown: Any) -> None:
    assert urlparse(shown.url).query == ""
    kept = "[localStorage.length, sessionStorage.length, document.cookie]"
    assert shown.evaluate(kept) == [0, 0, ""]


@pytest.mark.parametrize("width", [320, 360, 390, 768, 1280, 3840])  # 320: 1280 at 400 % zoom
def test_it_fits_any_width(page: Any, file: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 256 if width == 320 else 800})
    for phase in ("start", "shown"):
        if phase == "shown":
            page.set_input_files("#file", file)
        page.wait_for_selector(f"[data-phase={phase}]")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        small = page.eval_on_selector_all(
            "button, input", "all => all.map(e => e.getBoundingClientRect()).filter(b => b.width && b.height < 15)"
        )
        assert small == []


def test_what_has_the_focus_is_not_behind_the_picture(shown: Any) -> None:
    shown.set_viewport_size({"width": 390, "height": 844})
    shown.focus("#save-table")
    bottom = shown.locator("#stage").bounding_box()["y"] + shown.locator("#stage").bounding_box()["height"]
    for control in ("#choose-later", "#fill", "#csv", "#threshold"):  # upwards
        shown.focus(control)
        assert shown.locator(control).bounding_box()["y"] >= bottom


def test_all_is_done_by_keys(page: Any) -> None:
    page.focus("#samples button:first-child")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-phase=shown]")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    assert {"threshold", "copy", "csv", "outline", "fill", "pixel-size", "choose-reference", "save-mask"} <= reached
