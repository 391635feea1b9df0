"""The slices of a volume: drawn by NiiVue under the page's policy, at the chosen lesion."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import mipserve

pytestmark = pytest.mark.long
BROWSER_ARGS = "--use-angle=swiftshader", "--enable-unsafe-swiftshader"  # WebGL without a GPU
VENDOR = Path(mipserve.__file__).parent / "static/vendor/niivue.js"
# RAS: the first voxel is at the left, in the back, at the feet.
AFFINE = np.array([[-4.0, 0, 0, 40], [0, -5, 0, 50], [0, 0, 6, -60], [0, 0, 0, 1]])


@pytest.fixture
def planes(page: Any, job: Any) -> Any:
    """The viewer with a volume of 20 x 20 x 20 voxels with SUV 1 that has two lesions, of SUV 8 and 4."""
    suv = np.ones((20, 20, 20), np.float32)
    suv[4, 6, 15], suv[14, 12, 3] = 8, 4
    for name, array in {"suv.nii.gz": suv, "mask.nii.gz": (suv > 1).astype(np.uint8)}.items():
        job.files[name] = _nifti(array)
    first = job.record["lesions"][0]
    # LPS of voxels (4, 6, 15) and (14, 12, 3)
    places = ((-24.0, -20.0, 30.0), (16.0, 10.0, -42.0))
    job.record["lesions"] = [{**first, "id": number, "centroid_mm": mm} for number, mm in enumerate(places, 1)]
    job.finish("suv.nii.gz", "mask.nii.gz")
    page.wait_for_selector("[data-phase=shown]")
    page.set_default_timeout(60_000)  # shaders without a GPU
    return page


def _nifti(array: Any) -> bytes:
    image: Any = nib.Nifti1Image  # is not typed
    return bytes(image(array, AFFINE).to_bytes())


def picture(page: Any) -> bytes:
    return bytes(page.locator("#planes-picture").screenshot())


def still_picture(page: Any, wait_for: Callable[..., None]) -> bytes:
    """Their picture once it stays as it is: a late drawing must not pass for a change."""
    pictures = [b""]

    def stays() -> bool:
        pictures.append(picture(page))
        return pictures[-1] == pictures[-2]

    wait_for(stays)
    return pictures[-1]


def wait_for_place(page: Any, words: str) -> None:
    page.wait_for_selector(f"#planes-place:text-is('{words}')")


def test_they_go_to_the_chosen_lesion(planes: Any) -> None:
    planes.click("#volume tbody tr:nth-child(2) button")
    wait_for_place(planes, "SUV 4.0 at 16, 10, -42 mm (left, back, head)")
    assert planes.inner_text("#planes-words") == ""
    assert planes.get_attribute("#look-planes", "aria-pressed") == "true"
    planes.focus("#planes-picture")
    planes.keyboard.press("n")
    wait_for_place(planes, "SUV 8.0 at -24, -20, 30 mm (left, back, head)")
    planes.keyboard.press("ArrowLeft")
    wait_for_place(planes, "SUV 1.0 at -28, -20, 30 mm (left, back, head)")
    planes.keyboard.press("ArrowUp")
    wait_for_place(planes, "SUV 1.0 at -28, -20, 36 mm (left, back, head)")
    planes.keyboard.press("PageUp")
    wait_for_place(planes, "SUV 1.0 at -28, -25, 36 mm (left, back, head)")
    planes.keyboard.press("Escape")
    assert planes.evaluate("document.activeElement.id") == "picture"


def test_they_are_drawn_dark_or_bright(planes: Any, wait_for: Callable[..., None]) -> None:
    planes.click("#look-planes")
    planes.wait_for_selector("#planes-words", state="hidden")
    before = still_picture(planes, wait_for)
    planes.uncheck("#dark-is-hot")
    wait_for(lambda: picture(planes) != before)


def test_the_window_is_theirs_too_and_reaches_farther(planes: Any, wait_for: Callable[..., None]) -> None:
    planes.click("#look-planes")
    planes.wait_for_selector("#planes-words", state="hidden")
    before = still_picture(planes, wait_for)
    box = planes.locator("#planes-picture").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    planes.mouse.move(x, y)
    planes.mouse.down(button="right")
    planes.mouse.move(x + 138.6, y, steps=3)  # twice as wide, from the middle: cut at air
    planes.mouse.up(button="right")
    assert planes.inner_text("#window-words") == "SUV 0.0 to 9.0"
    wait_for(lambda: picture(planes) != before)
    planes.click("#look-front")
    assert planes.inner_text("#window-words") == "SUV 0.0 to 6.0"  # the projection knows no more


def test_what_can_t_be_read_is_told(planes: Any, job: Any) -> None:
    job.files["suv.nii.gz"] = b"no volume"
    planes.click("#look-planes")
    planes.wait_for_selector("#planes-words:text-matches('can.t be shown')")


def check_there_are_none(page: Any, reason: str) -> None:
    assert page.is_disabled("#look-planes")
    assert page.inner_text("#no-planes") == f"There are no slices: {reason}."
    page.focus("#picture")
    page.keyboard.press("s")
    page.click("#volume tbody button")
    assert page.get_attribute("#stage", "data-look") == "front"
    assert page.locator("#volume tr.selected").count() == 1


def test_without_suv_there_are_none(volume: Any) -> None:
    check_there_are_none(volume, "the volume has no SUV")


def test_without_webgl_there_are_none(page: Any, make_job: Callable[[], Any], drop: Callable[..., None]) -> None:
    page.evaluate("""() => {
      const get = HTMLCanvasElement.prototype.getContext;
      HTMLCanvasElement.prototype.getContext = function (kind, ...options) {
        return kind === "webgl2" ? null : get.call(this, kind, ...options);
      };
    }""")
    make_job().finish("suv.nii.gz", "mask.nii.gz")
    drop(scan=b"NIfTI")
    page.wait_for_selector("[data-phase=shown]")
    check_there_are_none(page, "this browser has no WebGL 2, which they are drawn with")


def test_the_suv_is_asked_for_of_volumes_alone(page: Any, job: Any, file: str, wait_for: Callable[..., None]) -> None:
    assert b'name="formats"\r\n\r\npng,nifti,seg,sr,suv\r\n' in job.form
    job.form = b""
    page.set_input_files("#file", file)
    page.wait_for_selector("#name:text-is('patient_1.png')")
    wait_for(lambda: job.form)
    assert b'name="file"' in job.form
    assert b"formats" not in job.form


def test_niivue_is_the_package_s_own() -> None:
    assert (
        hashlib.sha256(VENDOR.read_bytes()).hexdigest()
        == "d6c2be4feb1ad53b2ac76b4196da8d8fd2263b662b511c55ca0fd127eb6a6532"
    )
