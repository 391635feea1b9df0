"""Files come in by every way, one at a time, and nothing old is ever shown under a new name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SHOWN = "[data-phase=shown]"


def read(file: str) -> bytes:
    return Path(file).read_bytes()


def test_a_chosen_file_is_shown_in_plain_words(shown: Any) -> None:
    assert shown.title() == "patient_1.png - MIPseg"
    assert shown.inner_text("#name") == "patient_1.png"
    assert shown.inner_text("#verdict") == "Tumour found"
    assert shown.inner_text("#verdict-words") == "A tumour is 97 % probable."
    assert shown.inner_text("#limit-words") == "Below the operating point of 5 % the mask is left empty."
    assert shown.inner_text("#model") == "Model unet_v8 (01234567), MIPseg 1.2.3"
    assert shown.is_visible("text=Research use only, not a medical device.")
    assert shown.locator("#warnings li").count() == 0
    label = "patient_1.png: 2 lesions, a tumour is 97 % probable"
    assert shown.get_attribute("#picture", "aria-label") == label
    assert shown.evaluate("document.activeElement.id") == "picture"


def test_a_healthy_body_with_doubts(page: Any, case: Any, file: str) -> None:
    case.mask[:] = 0
    case.answer["classification"] = {"label": "healthy", "probability": 0.003, "threshold": 0.05}
    case.answer["warnings"] = ["inverted", "orientation"]
    page.set_input_files("#file", file)
    page.wait_for_selector("#warnings li")
    assert page.inner_text("#verdict") == "No tumour found"
    assert page.inner_text("#verdict-words") == "A tumour is less than 1 % probable."
    assert page.inner_text("#limit-words") == "That is below the operating point of 5 %, so the mask is left empty."
    assert page.locator("#warnings li").all_inner_texts() == [
        "The background was dark, so the image was inverted; the picture shows it inverted.",
        "The body did not stand upright. The image was turned for the prediction, and the mask turned back: picture "
        "and mask lie as in the file.",
    ]
    assert page.is_visible("text=The mask is empty.")
    assert page.inner_text("#expected") == "\u2013"
    assert not page.is_visible("#right")  # nobody knows which side of a turned body is which
    assert page.inner_text("#point-words") == "The model's own mask: no pixel."


def test_an_unlikely_tumour_is_not_called_found(page: Any, case: Any, file: str) -> None:
    case.answer["classification"]["probability"] = 0.06
    case.answer["warnings"] = ["uneven-slices: distances between slices are 3.19 to 3.29 mm"]
    page.set_input_files("#file", file)
    page.wait_for_selector("#warnings li")
    assert page.inner_text("#verdict") == "Perhaps a tumour"
    assert page.inner_text("#warnings li") == "Distances between slices are 3.19 to 3.29 mm."


def test_dropped_pasted_and_samples(page: Any, file: str, drop: Callable[..., None]) -> None:
    drop(dropped=read(file))
    page.wait_for_selector("text=dropped.png")
    page.wait_for_selector(SHOWN)
    page.evaluate(
        """bytes => {
          const clipboardData = new DataTransfer();
          clipboardData.items.add(new File([new Uint8Array(bytes)], "pasted.png"));
          document.dispatchEvent(new ClipboardEvent("paste", {clipboardData}));
        }""",
        list(read(file)),
    )
    page.wait_for_selector("text=pasted.png")
    page.wait_for_selector(SHOWN)
    page.goto("/")
    with page.expect_request("**/v1/segment") as request:
        page.click("#samples button:nth-child(3)")
    page.wait_for_selector("#name:text-is('control.png')")
    page.wait_for_selector(SHOWN)
    assert b"\x89PNG" in request.value.post_data_buffer


def test_a_refusal_stands_where_the_picture_was(shown: Any, drop: Callable[..., None], problem: Any) -> None:
    problem("invalid-image", "img is neither a PNG nor a JPEG")
    drop(broken=b"no image")
    shown.wait_for_selector("[data-phase=failed]")
    assert shown.inner_text("#problem-title") == "The image can't be read"
    assert shown.inner_text("#problem-detail") == "The image is neither a PNG nor a JPEG."
    assert shown.inner_text("#name") == "broken.png"
    assert shown.locator("#picture, #panel, #save-mask").locator("visible=true").count() == 0


def test_a_service_that_is_gone(page: Any, file: str) -> None:
    page.route("**/v1/segment", lambda route: route.fulfill(status=502, body="<html>"))
    page.set_input_files("#file", file)
    page.wait_for_selector("text=The service answered something that can't be read. Try it again.")


def test_a_browser_that_changes_pixels_is_named(page: Any, file: str) -> None:
    page.evaluate("""() => {
      const read = CanvasRenderingContext2D.prototype.getImageData;
      CanvasRenderingContext2D.prototype.getImageData = function (...all) {
        const image = read.apply(this, all);
        image.data[0] ^= 1;
        return image;
      };
    }""")
    page.set_input_files("#file", file)
    page.wait_for_selector("text=This browser changes the pixels of pictures, against fingerprinting.")


def test_a_sample_without_the_service(page: Any) -> None:
    page.route("**/*", lambda route: route.abort())
    page.click("#samples button:first-child")
    page.wait_for_selector("#problem-title:text-is('The service does not answer')")


@pytest.fixture
def held(page: Any) -> list[Any]:
    """Requests whose answers the test gives when it likes."""
    requests: list[Any] = []

    def hold(route: Any) -> None:  # Playwright does not take a method of a list
        requests.append(route)

    page.route("**/v1/segment", hold)
    return requests


def test_the_old_picture_goes_at_once_and_cancel_gives_up(
    shown: Any, case: Any, file: str, held: list[Any], drop: Callable[..., None], wait_for: Callable[..., None]
) -> None:
    drop(second=read(file))
    shown.wait_for_selector("#name:text-is('second.png')")
    assert shown.locator("#picture, #panel").locator("visible=true").count() == 0
    wait_for(lambda: len(held) == 1)
    shown.wait_for_selector("text=Sending the file …")
    with shown.expect_event("requestfailed"):  # the service is told as well
        shown.keyboard.press("Escape")
    shown.wait_for_selector("[data-phase=start]")
    assert shown.inner_text("#name") == ""
    drop(third=read(file))
    wait_for(lambda: len(held) == 2)
    shown.click("#cancel")
    shown.wait_for_selector("[data-phase=start]")


def test_of_two_files_on_their_way_the_newer_is_shown(
    page: Any, case: Any, file: str, held: list[Any], drop: Callable[..., None], wait_for: Callable[..., None]
) -> None:
    page.evaluate("""() => {
      const decode = createImageBitmap;
      window.createImageBitmap = async (...all) => {
        window.decoding += 1;
        await window.mayGoOn;
        return decode(...all).finally(() => window.decoding -= 1);
      };
    }""")
    drop(older=read(file))
    wait_for(lambda: len(held) == 1)
    page.evaluate("window.decoding = 0, window.mayGoOn = new Promise(done => window.goOn = done), null")
    held[0].fulfill(json=case.body())  # it comes, but takes long to decode
    wait_for(lambda: page.evaluate("window.decoding > 0"))
    page.evaluate("window.mayGoOn = null")
    drop(newer=read(file))
    wait_for(lambda: len(held) == 2)
    case.mask[:50] = 0
    held[1].fulfill(json=case.body())
    page.wait_for_selector(SHOWN)
    page.evaluate("window.goOn()")
    wait_for(lambda: page.evaluate("window.decoding === 0"))
    page.wait_for_timeout(200)  # for what would show it
    assert page.inner_text("#name") == "newer.png"
    assert page.inner_text("#area") == "20 px"
