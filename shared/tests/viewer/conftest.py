"""The viewer in a real browser, in front of a service whose answers the tests write."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from PIL import Image
from shared.tests.viewer.stub_job import StubJob

from mipseg.io.codec import encode_request
from mipseg.serving.pages import add_pages
from mipserve.viewer import add_viewer

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
DESK = {"width": 1280, "height": 900}
WIDTH, HEIGHT = 80, 100
WAIT_S = 20


class Case:
    """A small image and what the service says about it.

    Three lesions, of which the model marks two: A, 10 x 10 pixels, 230/255 probable, with a rim of one pixel of 77/255;
    B, 4 x 5 pixels of 128/255; and C, 2 x 2 pixels and two more that touch only at corners, of 51/255, which only a
    lower operating point marks.
    """

    def __init__(self) -> None:
        self.image, self.mask, self.probability = (np.zeros((HEIGHT, WIDTH), np.uint8) for _ in range(3))
        self.image[:] = 255
        self.image[5:95, 20:60] = 200
        self.probability[9:21, 29:41] = 77
        for rows, columns, p, grey in (
            (slice(10, 20), slice(30, 40), 230, 55),
            (slice(50, 54), slice(45, 50), 128, 155),
            (slice(80, 82), slice(25, 27), 51, 155),
            (slice(82, 83), slice(27, 28), 51, 155),
            (slice(83, 84), slice(26, 27), 51, 155),
        ):
            self.probability[rows, columns], self.image[rows, columns] = p, grey
        self.mask[:] = 255 * (self.probability >= 128)
        self.temperature = 0.5
        self.answer: dict[str, Any] = {
            "kind": "image",
            "classification": {"label": "tumor", "probability": 0.97, "threshold": 0.05},
            "warnings": [],
            "model": {"name": "unet_v8", "sha256": "0123456789abcdef"},
        }

    def body(self, spacing: tuple[float, float] | None = None) -> dict[str, Any]:
        """The answer to `POST /v1/segment`."""
        pixels = {"image": self.image, "mask": np.repeat(self.mask[:, :, None], 3, 2), "probability": self.probability}
        return {
            **self.answer,
            "shape": self.image.shape,
            "spacing_mm": spacing,
            "lesions": [{"area_px": int((self.mask == 255).sum())}],
            "temperature": self.temperature,
            **{name: encode_request(array) for name, array in pixels.items()},
        }


@pytest.fixture
def case() -> Case:
    return Case()


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where the pages are served, as by the service itself."""
    app = FastAPI(docs_url=None, redoc_url=None)
    add_pages(app)
    add_viewer(app)

    @app.get("/readyz")
    def readyz() -> dict[str, str]:
        return {"status": "ready"}

    @app.get("/api")
    def api() -> dict[str, object]:
        return {"version": "1.2.3", "limits": {"max_upload_bytes": 512 << 20, "max_files": 50_000}}

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + 20
    while not server.started and time.monotonic() < end:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")  # not longer: an event loop runs while it is there, which other tests can't bear
def browser(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Chromium, with what a module adds as `BROWSER_ARGS`."""
    added = getattr(request.module, "BROWSER_ARGS", ())
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *added], timeout=60_000)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, address: str, case: Case) -> Iterator[Any]:
    """The viewer, whose console has to stay empty but for answers that are errors on purpose."""
    context = browser.new_context(viewport=DESK, base_url=address, permissions=["clipboard-read", "clipboard-write"])
    page, complaints = context.new_page(), list[str]()
    page.set_default_timeout(1000 * WAIT_S)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.route("**/v1/segment", lambda route: route.fulfill(json=case.body()))
    page.goto("/")
    page.wait_for_selector("#status.good")
    yield page
    context.close()
    expected = (
        "status of 422",
        "status of 502",
        "ERR_FAILED",
        "willReadFrequently",
    )  # the last one because tests read the picture
    assert [text for text in complaints if not any(status in text for status in expected)] == []


@pytest.fixture
def wait_for(page: Any) -> Callable[[Callable[[], Any]], None]:
    """Waits until something holds that the page itself does not tell; the page goes on meanwhile."""

    def wait(condition: Callable[[], Any]) -> None:
        end = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < end, f"still waiting after {WAIT_S} s"
            page.wait_for_timeout(25)

    return wait


@pytest.fixture
def file(tmp_path: Path, case: Case) -> str:
    """The case's image as a file."""
    path = tmp_path / "patient_1.png"
    Image.fromarray(case.image).save(path)
    return str(path)


@pytest.fixture
def shown(page: Any, file: str) -> Any:
    """The viewer with the case."""
    page.set_input_files("#file", file)
    page.wait_for_selector("[data-phase=shown]")
    return page


@pytest.fixture
def place(shown: Any) -> Any:
    """Where on the page a place of the image is, while the whole image is shown."""
    box = shown.locator("#picture").bounding_box()
    scale = min((box["width"] - 24) / 80, (box["height"] - 24) / 100)
    left, top = (box["x"] + (box["width"] - 80 * scale) / 2), (box["y"] + (box["height"] - 100 * scale) / 2)
    return lambda x, y: (left + scale * (x + 0.5), top + scale * (y + 0.5))


@pytest.fixture
def drop(page: Any) -> Callable[..., None]:
    """Drops files anywhere on the page."""

    def drop_files(**files: bytes) -> None:
        content = [[f"{name}.png", list(data)] for name, data in files.items()]
        page.evaluate(
            """files => {
              const dataTransfer = new DataTransfer();
              for (const [name, bytes] of files) dataTransfer.items.add(new File([new Uint8Array(bytes)], name));
              for (const type of ["dragenter", "dragover", "drop"]) {
                document.body.dispatchEvent(new DragEvent(type, {dataTransfer, bubbles: true, cancelable: true}));
              }
            }""",
            content,
        )

    return drop_files


@pytest.fixture
def problem(page: Any) -> Callable[[str, str], None]:
    """Lets the service refuse every image from now on."""

    def refuse(code: str, detail: str) -> None:
        body = json.dumps({"title": "Unprocessable", "status": 422, "code": code, "detail": detail})
        page.route("**/v1/segment", lambda route: route.fulfill(status=422, body=body))

    return refuse


@pytest.fixture
def make_job(page: Any, case: Case, wait_for: Callable[[Callable[[], Any]], None]) -> Callable[[], StubJob]:
    """Lets the service take every file as a volume from now on."""
    return lambda: StubJob(page, case.body(), wait_for)


@pytest.fixture
def job(page: Any, make_job: Callable[[], StubJob], drop: Callable[..., None]) -> StubJob:
    """The job of a volume that was dropped."""
    job = make_job()
    drop(scan=b"NIfTI")
    page.wait_for_selector("#step:text-is('Waiting for its turn \u2026')")
    return job


@pytest.fixture
def volume(page: Any, job: StubJob) -> Any:
    """The viewer with the volume."""
    job.finish()
    page.wait_for_selector("[data-phase=shown]")
    return page
