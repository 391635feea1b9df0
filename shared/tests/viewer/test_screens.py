"""Each state of the viewer on a desk and on a phone, light and dark: it fits, and axe finds nothing.

`pytest shared/tests/viewer/test_screens.py --basetemp=FOLDER` leaves a picture of each in FOLDER.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import nibabel as nib
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

pytestmark = pytest.mark.long
BROWSER_ARGS = "--use-angle=swiftshader", "--enable-unsafe-swiftshader"  # WebGL without a GPU
FORMS = [(width, scheme) for width in (390, 1280) for scheme in ("light", "dark")]
TOO_WIDE = """[document.documentElement, ...document.querySelectorAll("#panel, #panel section, #stage")]
  .filter(part => part.scrollWidth > part.clientWidth).map(part => part.id || part.tagName)"""
Look = Callable[[str], None]


@pytest.fixture(params=FORMS, ids=lambda form: f"{form[0]}-{form[1]}")
def look(request: pytest.FixtureRequest, page: Any, tmp_path: Path) -> Look:
    """Looks at the page as it is, under a name."""
    width, scheme = request.param
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")

    def look_at(name: str) -> None:
        page.screenshot(path=tmp_path / f"{name}-{width}-{scheme}.png")
        assert page.evaluate(TOO_WIDE) == []
        found = Axe().run(page).response["violations"]
        assert [(one["id"], node["html"]) for one in found for node in one["nodes"]] == []

    return look_at


def test_opening(page: Any, look: Look, file: str, problem: Callable[[str, str], None]) -> None:
    look("start")
    page.click("summary")
    look("for-programs")
    page.evaluate("document.body.classList.add('dropping')")
    look("drop")
    page.evaluate("document.body.classList.remove('dropping')")
    page.route("**/v1/segment", lambda _: None)  # no answer comes
    page.set_input_files("#file", file)
    page.wait_for_selector("#step:text-is('Sending the file \u2026')")
    look("working")
    problem("invalid-image", "the image has 70000 rows; at most 20000 are taken")
    page.set_input_files("#file", file)
    page.wait_for_selector("[data-phase=failed]")
    look("failed")


def test_an_image(page: Any, look: Look, file: str, case: Any) -> None:
    case.answer["warnings"] = ["orientation", "scale", "border-removed"]
    page.set_input_files("#file", file)
    page.wait_for_selector("#warnings li")
    look("image")
    page.check("#heat")
    page.click("#lesions tbody tr:first-child")
    look("probabilities")
    page.focus("#picture")
    page.keyboard.press("b")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    look("correcting")
    page.keyboard.press("?")
    look("keys")
    assert page.locator("#keys").evaluate("dialog => dialog.scrollTop") == 0


def test_agreement_and_follow_up(
    page: Any, look: Look, file: str, case: Any, drop: Callable[..., None], tmp_path: Path
) -> None:
    Image.fromarray(np.roll(case.mask, 2, axis=0)).save(tmp_path / "mask.png")
    drop(image=Path(file).read_bytes(), mask=(tmp_path / "mask.png").read_bytes())
    page.wait_for_selector("#agreement")
    page.locator("#agreement").scroll_into_view_if_needed()
    look("agreement")
    with page.expect_file_chooser() as chooser:
        page.click("#choose-later")
    chooser.value.set_files(file)
    page.wait_for_selector("body.paired")
    look("follow-up")
    page.click("#follow-pairs tr:first-child")
    look("a-pair")


def test_a_volume(page: Any, look: Look, make_job: Callable[[], Any], drop: Callable[..., None]) -> None:
    job, image = make_job(), cast("Any", nib.Nifti1Image)  # is not typed
    suv = np.ones((20, 20, 20), np.float32)
    suv[4, 6, 15] = 8
    for name, array in {"suv.nii.gz": suv, "mask.nii.gz": (suv > 1).astype(np.uint8)}.items():
        job.files[name] = image(array, np.diag([-4.0, 5, 6, 1])).to_bytes()
    job.record["warnings"] = [f"series: 1.3.6.1.4.1.14519.5.2.1.{'5168' * 9} ('PET', 267 files) was chosen", "w" * 99]
    job.finish("suv.nii.gz", "mask.nii.gz")
    drop(scan=b"NIfTI")
    page.wait_for_selector("#warnings li")
    assert page.locator("#warnings li").first.inner_text() == "Series ('PET', 267 files) was chosen."
    look("volume")
    page.click("#look-film")
    look("film")
    page.click("#look-front")
    page.click("#volume tbody button")
    page.wait_for_selector("#planes-place:not(:empty)", timeout=60_000)
    look("slices")
    page.click("#look-front")
    page.eval_on_selector("#threshold", "s => { s.value = 253; s.dispatchEvent(new Event('input')) }")
    page.locator("#remeasure").scroll_into_view_if_needed()
    look("to-be-measured-again")


def test_forced_colours_leave_what_means_something(page: Any, file: str, make_job: Callable[[], Any]) -> None:
    page.emulate_media(forced_colors="active")
    colour = "part => getComputedStyle(part).backgroundColor"
    page.set_input_files("#file", file)
    page.wait_for_selector("[data-phase=shown]")
    page.click("#lesions tbody tr:first-child")
    for chosen, other in (
        ("#tools [aria-pressed=true]", "#tools [aria-pressed=false]"),
        ("#lesions tr.selected", "#lesions tbody tr:not(.selected)"),
        ("#save-mask", "#open"),
    ):
        assert page.eval_on_selector(chosen, colour) != page.eval_on_selector(other, colour)
    make_job().finish()
    page.set_input_files("#file", {"name": "scan.nii", "mimeType": "", "buffer": b"NIfTI"})
    page.wait_for_selector("#volume .swatch")
    assert page.eval_on_selector("#volume .swatch", colour) == "rgb(213, 94, 0)"
