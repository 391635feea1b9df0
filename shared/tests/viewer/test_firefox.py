"""The way through the viewer in Debian's Firefox, in front of the service as it is.

Playwright drives a Firefox of its own alone; Mozilla's Marionette drives any.
"""

import base64
import gc
import io
import shutil
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from mipseg.metrics import dice_score
from mipseg.phantom import make_phantom, make_volume_phantom

marionette = pytest.importorskip("marionette_driver", reason="marionette-driver is not installed")
FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
pytestmark = [pytest.mark.long, pytest.mark.skipif(FIREFOX is None, reason="Firefox is not installed")]

SETTINGS = {"browser.download.folderList": 2, "browser.download.useDownloadDir": True}
EXAMPLE = """
def predict(img):
    return (img < 50) * img.dtype.type(255)
"""
COMPLAINTS = """
  return Services.console.getMessageArray().filter(one => one instanceof Ci.nsIScriptError)
    .filter(one => one.sourceName.startsWith(arguments[0])).map(String);
"""


class Firefox:
    """A page in Firefox.

    Args:
        driver: of the browser.
        url: of the service.
    """

    def __init__(self, driver: Any, url: str) -> None:
        self.driver, self.url = driver, url

    def find(self, selector: str, seconds: float = 60) -> Any:
        """The first element of a selector, once there is one."""
        wait = marionette.Wait(self.driver, seconds, ignored_exceptions=[marionette.errors.NoSuchElementException])
        return wait.until(lambda driver: driver.find_element("css selector", selector))

    def open(self) -> None:
        self.driver.navigate(self.url)
        self.find("#status.good")
        self.find("#samples button")  # the page listens to what is dropped from then on

    def text(self, selector: str) -> str:
        return str(self.find(selector).text)

    def click(self, selector: str) -> None:
        self.find(selector).click()

    def press(self, selector: str, *keys: str) -> None:
        self.find(selector).send_keys(*keys)

    def run(self, script: str) -> Any:
        """What a function's body returns; it may wait."""
        return self.driver.execute_script(f"return (async () => {{ {script} }})()", sandbox=None)

    def drop(self, name: str, content: bytes) -> None:
        """Drop a file on the page."""
        script = """
          const dataTransfer = new DataTransfer();
          const bytes = Uint8Array.from(atob(arguments[1]), one => one.charCodeAt(0));
          dataTransfer.items.add(new File([bytes], arguments[0]));
          document.body.dispatchEvent(new DragEvent("drop", {dataTransfer, bubbles: true, cancelable: true}));
        """
        self.driver.execute_script(script, [name, base64.b64encode(content).decode()], sandbox=None)

    def drag(self, selector: str, x: int, y: int, button: int = 0) -> None:
        """Drag from an element's middle."""
        chain = self.driver.actions.sequence("pointer", "mouse", {"pointerType": "mouse"})
        chain.pointer_move(0, 0, origin=self.find(selector)).pointer_down(button)
        chain.pointer_move(x, y, origin=self.find(selector)).pointer_up(button).perform()


@pytest.fixture(scope="module")
def service(start_once: Callable[[str], Any]) -> Any:
    service = start_once(EXAMPLE)
    service.wait_until_it_answers("/readyz")
    return service


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def firefox(service: Any, downloads: Path) -> Iterator[Firefox]:
    """The browser, whose console has to stay empty of what the page did."""
    from marionette_driver.marionette import Marionette  # noqa: PLC0415 # where it is installed

    with careless():
        settings = {**SETTINGS, "browser.download.dir": str(downloads)}
        log = str(downloads / "firefox.log")  # in the working directory otherwise
        driver = Marionette(bin=FIREFOX, headless=True, prefs=settings, gecko_log=log)
        driver.start_session()
    yield Firefox(driver, service.url("/"))
    with careless():
        with driver.using_context("chrome"):
            complaints = driver.execute_script(COMPLAINTS, [service.url("/")])
        driver.quit()
        driver.cleanup()
        del driver
    assert [
        one for one in complaints if "Failed to create WebGL context" not in one
    ] == []  # it has none without a screen


@contextmanager
def careless() -> Iterator[None]:
    """Marionette leaves sockets open, which would be held against whatever test runs when they are collected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


def saved(downloads: Path, name: str) -> Any:
    for _ in range(200):
        if (downloads / name).exists() and (downloads / name).stat().st_size > 0:
            return np.asarray(Image.open(downloads / name).convert("L"))
        time.sleep(0.05)
    pytest.fail(f"{name} was not saved")


def test_an_image_is_shown_corrected_and_saved(firefox: Firefox, downloads: Path, tmp_path: Path) -> None:
    phantom = make_phantom(9)
    Image.fromarray(phantom.mip).save(tmp_path / "patient.png")
    firefox.open()
    firefox.drop("patient.png", (tmp_path / "patient.png").read_bytes())
    firefox.find("body[data-phase=shown]")
    assert firefox.text("#verdict") == "Tumour found"
    firefox.click("#save-mask")
    own = saved(downloads, "patient-mask.png")
    assert own.shape == phantom.mask.shape
    assert dice_score(own > 0, phantom.mask) > 0.3
    firefox.press("#picture", "b")
    firefox.drag("#picture", 60, 0)
    assert "Not the model's own" in firefox.text("#point-words")
    firefox.press("#picture", "z")
    assert "The model's own mask" in firefox.text("#point-words")
    firefox.press("#threshold", "\ue012")  # arrow to the left: fewer
    assert firefox.text("#point-words").startswith("Marked: pixels from")
    before = firefox.text("#window-words")
    firefox.drag("#picture", -100, 0, button=2)
    assert firefox.text("#window-words") != before


def test_two_scans_stand_side_by_side(firefox: Firefox) -> None:
    firefox.open()
    firefox.click("#samples button")
    firefox.find("body[data-phase=shown]")
    firefox.click("#sample-later")
    firefox.find("body.paired")
    assert firefox.text("#later-name") == "Follow-up: patient-later.png"
    assert firefox.find("#follow-pairs tr")
    assert firefox.text("#follow-totals tr").startswith("Area, px")


def test_a_volume_turns_and_its_corrected_mask_is_measured(firefox: Firefox, tmp_path: Path) -> None:
    phantom = make_volume_phantom(9, height=300)
    affine = np.diag([-2.0, 5.0, 2.0, 1.0])
    image: Any = nib.Nifti1Image  # is not typed
    nib.save(image(phantom.suv.transpose(2, 1, 0), affine), tmp_path / "scan.nii.gz")
    firefox.open()
    firefox.drop("scan.nii.gz", (tmp_path / "scan.nii.gz").read_bytes())
    firefox.find("body[data-phase=shown]", 120)
    assert float(firefox.text("#total-mtv")) > 0
    firefox.click("#look-film")
    firefox.find("#film-angle[aria-valuetext*='back']")  # it turns
    firefox.click("#volume tbody button")
    assert firefox.find("#volume tr.selected")
    firefox.click("#look-front")
    # Without a screen Firefox has no WebGL.
    assert firefox.text("#no-planes") == "There are no slices: this browser has no WebGL 2, which they are drawn with."
    assert firefox.find("#look-planes[disabled]")
    assert firefox.find("#volume tr.selected")
    firefox.press("#threshold", "\ue010")  # end: more
    firefox.click("#remeasure")
    firefox.find("#warnings li", 120)
    assert firefox.find("#stale[hidden]")


def test_files_are_packed(firefox: Firefox) -> None:
    firefox.open()
    packed = firefox.run("""
      const {packZip} = await import("/static/viewer/zip.js");
      const archive = await packZip([new Blob(["one"]), new Blob(["two"])], () => {}, new AbortController().signal);
      return [...new Uint8Array(await archive.arrayBuffer())];
    """)
    archive = zipfile.ZipFile(io.BytesIO(bytes(packed)))
    assert archive.testzip() is None
    assert [archive.read(name) for name in archive.namelist()] == [b"one", b"two"]
