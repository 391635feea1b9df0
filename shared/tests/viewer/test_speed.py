"""How much is loaded, and how fast it moves: on an image of 400 x 991 pixels.

The median has to be fast enough in one of three tries, and the slowest is printed. Times on a machine that has more to
do than it can say nothing, so they are not taken there.
"""

import os
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from mipseg.io.codec import encode_request
from mipseg.phantom import make_phantom

pytestmark = pytest.mark.long
MAX_BYTES = 400_000
SLIDER_MS, FRAME_MS, ANSWER_MS = 50, 25, 400  # of 60 frames a second each has 16.7, and one that was missed 33.3

SLIDE = """async () => {
  const slider = document.getElementById("threshold"), times = [];
  for (let value = 20; value < 250; value += 10) {
    const start = performance.now();
    slider.value = value;
    slider.dispatchEvent(new Event("input"));
    await new Promise(done => requestAnimationFrame(done)); // the picture was drawn just before
    times.push(performance.now() - start);
  }
  return times;
}"""
PAN = """async () => {
  const canvas = document.getElementById("picture"), times = [], box = canvas.getBoundingClientRect();
  const send = (type, x, y) => canvas.dispatchEvent(new PointerEvent(type, {clientX: x, clientY: y, bubbles: true,
    pointerId: 1, button: 0, isPrimary: true}));
  canvas.setPointerCapture = () => {}; // there is no such pointer
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  send("pointerdown", x, y);
  let before = 0;
  for (let frame = 0; frame < 60; frame++) {
    send("pointermove", x + 50 * Math.sin(frame / 5), y + 80 * Math.cos(frame / 5));
    const now = await new Promise(done => requestAnimationFrame(done));
    if (before) times.push(now - before);
    before = now;
  }
  send("pointerup", x, y);
  return times;
}"""


@pytest.fixture
def quiet() -> None:
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > 1.5 * cores:
        pytest.skip(f"{load:.0f} programs share {cores} cores")


@pytest.fixture
def large(quiet: None, page: Any, case: Any, tmp_path: Any) -> Any:
    """The viewer with an image of 400 x 991 pixels and many lesions."""
    phantom = make_phantom(4, height=991)
    doubts = ndimage.gaussian_filter(np.random.default_rng(1).standard_normal(phantom.mip.shape), 5)
    case.image = phantom.mip
    case.probability = np.clip(230 * phantom.mask + 110 * doubts / doubts.max(), 0, 255).astype(np.uint8)
    case.mask = 255 * phantom.mask.astype(np.uint8)
    assert ndimage.label(case.probability > 40)[1] > 100
    Image.fromarray(phantom.mip).save(tmp_path / "large.png")
    page.set_input_files("#file", tmp_path / "large.png")
    page.wait_for_selector("[data-phase=shown]")
    return page


def test_the_page_is_small(browser: Any, address: str) -> None:
    context = browser.new_context()
    page, responses = context.new_page(), list[Any]()

    def note(response: Any) -> None:  # Playwright does not take a method of a list
        responses.append(response)

    page.on("response", note)
    page.goto(address)
    page.wait_for_selector("#status.good")
    page.evaluate("Promise.all([...document.images].map(image => image.decode()))")
    sizes = {response.url: len(response.body()) for response in responses}
    context.close()
    print(f"loaded: {sum(sizes.values())} bytes in {len(sizes)} files")
    assert len(sizes) > 20
    assert all(url.startswith(address) for url in sizes)
    assert sum(sizes.values()) < MAX_BYTES


def least_median(page: Any, script: str, limit: float) -> float:
    """The median of the times that a script takes; up to three tries, since something else may start meanwhile."""
    medians = []
    for _ in range(3):
        times = page.evaluate(script)
        medians.append(float(np.median(times)))
        print(f"median {medians[-1]:.1f} ms, slowest {max(times):.1f} ms")
        if medians[-1] <= limit:
            break
    return min(medians)


def test_the_slider_redraws_at_once(large: Any) -> None:
    assert least_median(large, SLIDE, SLIDER_MS) <= SLIDER_MS


def test_panning_is_smooth(large: Any) -> None:
    large.focus("#picture")
    for _ in range(4):
        large.keyboard.press("+")
    assert least_median(large, PAN, FRAME_MS) <= FRAME_MS


def test_an_answer_is_shown_at_once(large: Any, case: Any) -> None:
    body = case.body()
    body["image"] = encode_request(case.image)
    times = []
    for number in range(5):
        large.route("**/v1/segment", lambda route: route.fulfill(json=body))
        started = """() => {
          window.shown = new Promise(done => new MutationObserver(() => {
            if (document.body.dataset.phase === "shown") requestAnimationFrame(() => done(performance.now()));
          }).observe(document.body, {attributeFilter: ["data-phase"]}));
          const send = XMLHttpRequest.prototype.send;
          XMLHttpRequest.prototype.send = function (form) {
            this.addEventListener("readystatechange", () => {
              if (this.readyState === 2) window.answered = performance.now();
            });
            send.call(this, form);
          };
        }"""
        large.evaluate(started)
        buffer = b"any %d" % number
        large.set_input_files("#file", {"name": "again.png", "mimeType": "image/png", "buffer": buffer})
        times.append(large.evaluate("window.shown.then(shown => shown - window.answered)"))
    print(f"from the answer to the picture: median {np.median(times):.0f} ms, slowest {max(times):.0f} ms")
    assert np.median(times) <= ANSWER_MS
