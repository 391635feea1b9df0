"""The pages in a real browser, wide and as narrow as a phone."""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from mipseg.io.codec import encode_request
from mipseg.metrics import dice_score
from mipseg.model.segmenter import load_segmenter
from mipseg.phantom import make_phantom
from mipseg.pipeline import analyze_image
from mipserve.viewer import STATIC

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.long, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]
SAMPLES = STATIC / "samples"
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
EXAMPLE = """
def predict(img):
    return (img < 50) * img.dtype.type(255)
"""


@pytest.fixture(scope="module")
def service(start_once: Callable[[str], Any]) -> Any:
    service = start_once(EXAMPLE)
    service.wait_until_it_answers("/api/v1/scoreboard")
    body = {"img": encode_request(np.full((120, 120), 255, np.uint8))}
    # The built-in networks are loaded by the first request that needs them, which may take longer than its deadline.
    service.wait_until(lambda: httpx.post(service.url("/tumor/analyze"), json=body, timeout=30).status_code == 200)
    return service


@pytest.fixture
def page() -> Iterator[Any]:
    """A page whose console has to stay empty, but for answers that are errors on purpose."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=60_000)
        page, complaints = browser.new_page(viewport=DESK), list[str]()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
        browser.close()
        expected = ("status of 422", "status of 404")  # a damaged upload, an attempt that nobody made
        assert [text for text in complaints if not any(end in text for end in expected)] == []


def fits(page: Any) -> bool:
    """Whether nothing sticks out of the page at the right, where a phone would hide it."""
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return width <= int(page.viewport_size["width"])


def axe_finds(page: Any) -> list[tuple[str, str]]:
    """What keeps people with a handicap out of the page as it is, by axe's rules."""
    found = Axe().run(page).response["violations"]
    return [(one["id"], node["html"]) for one in found for node in one["nodes"]]


def shoot(page: Any, name: str) -> None:
    if folder := os.environ.get("MIPSEG_TEST_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}-{page.viewport_size['width']}.png", full_page=True)


def test_a_sample_is_segmented_within_its_time(service: Any, page: Any) -> None:
    """By the real model, on both kinds of screens; what is saved is what the model said."""
    page.goto(service.url("/"))
    page.wait_for_selector("#status.good")
    page.click("#samples button:first-child")
    page.wait_for_selector("#verdict:text-is('Tumour found')")
    with page.expect_download() as download:
        page.click("#save-mask")
    saved = np.asarray(Image.open(download.value.path()).convert("L")) == 255
    sample = make_phantom(9)
    expected = analyze_image(sample.mip, load_segmenter())
    np.testing.assert_array_equal(saved, expected.tumour)
    page.click("#own-reference")
    page.wait_for_selector(f"#dice:text-is('{dice_score(sample.mask, saved):.3f}')")
    assert page.locator("#lesions tbody tr").count() == len(expected.lesions)
    for viewport in (DESK, PHONE):
        page.set_viewport_size(viewport)
        assert fits(page)
        shoot(page, "viewer")


def test_a_file_that_is_no_image_is_refused_in_plain_words(service: Any, page: Any) -> None:
    page.goto(service.url("/"))
    page.set_input_files("#file", {"name": "notes.png", "mimeType": "image/png", "buffer": b"no image"})
    page.wait_for_selector("[data-phase=failed]")
    assert page.inner_text("#problem-title") == "The file can't be read"
    shoot(page, "failed")


def test_the_samples_are_phantoms() -> None:
    samples = {"patient": (9, 489, True), "whole-body": (4, 930, True), "control": (2, 489, False)}
    for name, (seed, height, tumours) in samples.items():
        phantom = make_phantom(seed, height=height, tumours=tumours)
        image, reference = (np.asarray(Image.open(SAMPLES / f"{name}{part}.png")) for part in ("", "-reference"))
        np.testing.assert_array_equal(image, phantom.mip)
        np.testing.assert_array_equal(reference, phantom.mask)


@pytest.mark.long
def test_the_documentation_shows_service_and_judge(service: Any, page: Any) -> None:
    page.goto(service.url("/docs"))
    page.wait_for_selector("text=Segment an image")
    for viewport in (DESK, PHONE):
        page.set_viewport_size(viewport)
        titles = page.locator(".opblock-summary-description").all_inner_texts()
        board = "Ranks, scores and points of all teams, at most two seconds old"
        assert {"The process answers", "Where an attempt stands", board} <= set(titles)
        assert page.locator(".opblock-summary-description").locator("visible=true").count() == len(titles)
        assert fits(page)
        assert axe_finds(page) == []
        shoot(page, "docs")
    predict, segment = (f".opblock-summary:has-text('{path}')" for path in ("/tumor/predict", "/v1/segment"))
    page.click(predict)
    page.click("text=Try it out")
    page.click("button.execute")
    page.wait_for_selector(".live-responses-table .response-col_status:has-text('200')")
    page.wait_for_selector("text=Service Unavailable")
    assert fits(page)
    copy = ("button-name", "<button></button>")  # Swagger UI's own, which nothing of ours can name
    assert set(axe_finds(page)) == {copy}
    shoot(page, "docs-open")
    page.click(predict)
    page.click(segment)
    page.click("text=Try it out")
    assert axe_finds(page) == []
    page.set_input_files("input[type=file]", SAMPLES / "patient.png")
    page.click("button.execute")  # what nobody filled in is no option
    page.wait_for_selector(".live-responses-table .response-col_status:has-text('200')")
    page.click(segment)
    page.click("text=Schemas")
    assert axe_finds(page) == []


@pytest.mark.long
@pytest.mark.parametrize("path", ["/", "/docs", "/scoreboard", "/attempts/0"])
def test_all_pages_have_one_style_and_icon_and_fit(service: Any, page: Any, path: str) -> None:
    for viewport in (PHONE, DESK):
        page.set_viewport_size(viewport)
        page.goto(service.url(path))
        page.wait_for_load_state("networkidle")
        assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--accent')") != ""
        assert page.get_attribute("link[rel=icon]", "href").endswith("static/icon.svg")
        assert fits(page)
        assert axe_finds(page) == []
        shoot(page, f"style{path.replace('/', '-')}")


def test_the_schema_has_the_judges_routes_as_soon_as_it_is_there(service: Any) -> None:
    paths = httpx.get(service.url("/openapi.json")).json()["paths"]
    queue = paths["/api/v1/usecases/tumor-segmentation/validate/queue"]["post"]
    assert queue["responses"]["429"]["description"] == "Too Many Requests"
    assert {"/tumor/predict", "/livez", "/api/v1/scoreboard"} <= set(paths)


def test_pages_load_nothing_from_elsewhere_and_run_no_inline_code(service: Any) -> None:
    for path in ("/", "/docs", "/static/mipseg.css", "/static/viewer/main.js", "/static/docs.js", "/static/icon.svg"):
        answer = httpx.get(service.url(path))
        assert answer.status_code == 200
        assert "://" not in answer.text.replace("http://localhost:8000/", "").replace("http://www.w3.org/2000/svg", "")
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert ("unsafe-inline" in policy) == (path == "/docs")  # Swagger UI styles single elements
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        head = httpx.head(service.url(path))
        assert (head.status_code, head.headers["content-type"]) == (200, answer.headers["content-type"])
