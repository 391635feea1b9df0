"""Two scans side by side: what has changed, and which lesion is which."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlparse

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import mipserve
from mipseg.phantom import make_phantom

pytestmark = pytest.mark.long
PAIRED = "body.paired"


def totals(page: Any) -> list[list[str]]:
    return [row.split("\t") for row in page.inner_text("#follow-totals").split("\n")]


def pairs(page: Any) -> list[list[str]]:
    return [row.split("\t") for row in page.inner_text("#follow-pairs").split("\n")]


def choose(page: Any, file: Any) -> None:
    with page.expect_file_chooser() as chooser:
        page.click("#choose-later")
    chooser.value.set_files(file)


def later(case: Any, down: int) -> None:
    """Change the case to a later scan: the body lies so many rows lower, A is smaller, B is gone, D is new."""
    for image, air in ((case.image, 255), (case.mask, 0), (case.probability, 0)):
        image[:] = np.roll(image, down, axis=0)
        image[:down] = air
    case.mask[:] = 0
    case.mask[10 + down : 15 + down, 30:40] = 255
    case.mask[70 + down : 73 + down, 22:25] = 255


@pytest.fixture
def paired(shown: Any, case: Any, tmp_path: Any) -> Any:
    """The case as baseline beside a later scan."""
    later(case, down=4)
    Image.fromarray(case.image).save(tmp_path / "later.png")
    choose(shown, tmp_path / "later.png")
    shown.wait_for_selector(PAIRED)
    return shown


def test_images_by_area(paired: Any) -> None:
    assert paired.inner_text("#baseline-name") == "Baseline: patient_1.png"
    assert paired.inner_text("#later-name") == "Follow-up: later.png"
    assert totals(paired) == [["Area, px", "120", "59", "\u221261 (\u221251 %)"], ["Lesions", "2", "2", "0 (0 %)"]]
    assert pairs(paired) == [
        ["1 \u2192 1", "100", "50", "\u221250 (\u221250 %)"],
        ["2 \u2192 \u2013", "20", "\u2013", "not found again"],
        ["\u2013 \u2192 2", "\u2013", "9", "new"],
    ]
    assert paired.is_visible("text=by where their centres lie in the projection, after one body is laid upon the other")
    assert paired.is_visible("text=at most 3 cm apart. An aid for reading, not an assessment of response.")
    assert urlparse(paired.url).query == ""


def test_it_follows_the_mask_that_is_shown(paired: Any) -> None:
    paired.eval_on_selector("#threshold", "s => { s.value = 0; s.dispatchEvent(new Event('input')) }")
    assert totals(paired)[1][1:] == ["2", "0", "\u22122 (\u2212100 %)"]
    paired.click("#own-point")
    assert totals(paired)[1][1:3] == ["2", "2"]


def test_a_pair_is_shown_in_both_pictures(paired: Any) -> None:
    view = """() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(
      ["baseline-picture", "picture"].map(id => {
        const canvas = document.getElementById(id), {width, height} = canvas;
        const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
        let [x, y, count] = [0, 0, 0];
        for (let i = 0; i < width * height; i++) {
          if (data[4 * i] < 60 && data[4 * i + 3] === 255) { x += i % width; y += Math.floor(i / width); count++ }
        }
        return [x / count, y / count, count];
      })))))"""
    paired.uncheck("#outline")
    paired.fill("#fill", "0")
    paired.click("#zoom-in")
    paired.keyboard.press("0")
    before = paired.evaluate(view)
    paired.click("#zoom-in")
    (x0, y0, n0), (x1, y1, n1) = paired.evaluate(view)  # the hot square of both, which have the same pixels
    assert n0 > 1.3 * before[0][2]
    assert (x0, y0, n0) == pytest.approx((x1, y1, n1), abs=20)  # four rows lower, but at the same place of the screen
    paired.hover("#baseline-picture")
    paired.mouse.wheel(0, -200)
    (x2, y2, n2), (x3, y3, n3) = paired.evaluate(view)
    assert n2 > 1.3 * n0
    assert (x2, y2, n2) == pytest.approx((x3, y3, n3), abs=20)
    paired.click("#follow-pairs tr:first-child")
    assert paired.locator("#lesions tr.selected td:first-child").inner_text() == "1"


def test_nothing_old_stands_under_a_new_name(paired: Any, problem: Any) -> None:
    pictures = paired.locator("#picture, #baseline-picture, #panel").locator("visible=true")
    paired.route("**/v1/segment", lambda _: None)  # no answer comes
    choose(paired, {"name": "next.png", "mimeType": "image/png", "buffer": b"no"})
    paired.wait_for_selector("#name:text-is('next.png')")
    paired.wait_for_selector("#step:text-is('Sending the file \u2026')")
    assert pictures.count() == 0
    paired.click("#cancel")
    problem("invalid-image", "img is neither a PNG nor a JPEG")
    paired.set_input_files("#file", {"name": "broken.png", "mimeType": "image/png", "buffer": b"no"})
    paired.wait_for_selector("[data-phase=failed]")
    assert pictures.count() == 0
    assert paired.inner_text("#name") == "broken.png"


def test_another_file_after_a_failure_is_still_the_later_scan(paired: Any, case: Any, file: str, problem: Any) -> None:
    problem("invalid-image", "img is neither a PNG nor a JPEG")
    choose(paired, file)
    paired.wait_for_selector("[data-phase=failed]")
    paired.route("**/v1/segment", lambda route: route.fulfill(json=case.body()))
    with paired.expect_file_chooser() as chooser:
        paired.click("#another")
    chooser.value.set_files(file)
    paired.wait_for_selector(PAIRED)
    assert paired.inner_text("#baseline-name") == "Baseline: patient_1.png"


def test_it_ends_with_any_other_file_or_by_its_button(paired: Any, file: str, drop: Callable[..., None]) -> None:
    choose(paired, file)
    paired.wait_for_selector("#later-name:text-is('Follow-up: patient_1.png')")
    paired.wait_for_selector(PAIRED)
    assert paired.inner_text("#baseline-name") == "Baseline: patient_1.png"  # the baseline stays the first scan
    paired.click("#no-baseline")
    assert not paired.is_visible("#baseline-picture")
    assert not paired.is_visible("#follow")
    choose(paired, file)
    paired.wait_for_selector(PAIRED)
    paired.set_input_files("#file", file)
    paired.wait_for_selector("body:not(.paired)")
    paired.wait_for_selector("[data-phase=shown]")
    assert not paired.is_visible("#baseline-picture")


def test_what_was_compared_is_saved(paired: Any) -> None:
    with paired.expect_download() as download:
        paired.click("#follow-csv")
    lines = download.value.path().read_text().splitlines()
    assert lines[1:] == [
        '"Area, px",120,59',
        '"Lesions",2,2',
        'baseline_lesion,follow_up_lesion,"baseline Area, px","follow-up Area, px"',
        "1,1,100,50",
        "2,,20,",
        ",2,,9",
    ]


def test_volumes_by_what_the_service_measured(volume: Any, make_job: Callable[[], Any]) -> None:
    job = make_job()
    first = job.record["lesions"][0]
    # The table stands 100 mm lower, and lesion 2 lies 40 mm in front of where the baseline's was.
    places: list[dict[str, Any]] = [
        {"mtv_ml": 6.17, "mip_px": (20, 40), "centroid_mm": (0, 120, 0)},
        {"id": 2, "centroid_mm": (0, 80, 0)},
        {"id": 3, "mip_px": (60, 40), "centroid_mm": (0, 120, 0)},
    ]
    job.record["lesions"] = [first | place for place in places]
    job.record["patient"] = {"total_mtv_ml": 18.5, "total_tlg_g": None, "suv_max": 9.87}
    job.finish()
    choose(volume, {"name": "later.nii", "mimeType": "", "buffer": b"NIfTI"})
    volume.wait_for_selector(PAIRED)
    assert totals(volume) == [
        ["MTV, ml", "12.3", "18.5", "+6.2 (+50 %)"],
        ["TLG, g", "62", "\u2013", "\u2013"],
        ["Lesions", "1", "3", "+2 (+200 %)"],
    ]
    assert pairs(volume) == [
        ["1 \u2192 1", "12.3", "6.2", "\u22126.2 (\u221250 %)"],  # 15.6 mm apart
        ["\u2013 \u2192 2", "\u2013", "12.3", "new"],  # 40 mm apart
        ["\u2013 \u2192 3", "\u2013", "12.3", "new"],  # 91 mm apart
    ]
    assert volume.is_visible("text=by where their centres lie in the body, after one body is laid upon the other")
    assert volume.inner_text("#follow-size") == "MTV, ml"


def test_bodies_are_laid_upon_each_other(page: Any) -> None:
    whole = 255 - make_phantom(9).mip
    lower = np.pad(whole[100:, 8:], ((0, 60), (0, 8)))  # 200 mm less at the top, 120 more below, 16 mm to the right
    images = [{"shape": image.shape, "pixels": image.ravel().tolist()} for image in (whole, lower)]
    shift = page.evaluate(
        """async (images) => {
          const {bodyShift} = await import("/static/viewer/follow/shift.js");
          return bodyShift(...images.map(({shape: [height, width], pixels}) =>
            ({intensity: Uint8Array.from(pixels), width, height, spacing: null})));
        }""",
        images,
    )
    assert shift["y"] == pytest.approx(-200, abs=4)
    assert shift["x"] == pytest.approx(-16, abs=6)


def test_the_nearest_are_matched_first_and_once(page: Any) -> None:
    found = page.evaluate("""async () => {
      const {match} = await import("/static/viewer/follow/compare.js");
      const at = (x, id) => ({id, size: 1, place: {x, y: 0}}), mm = (a, b) => Math.abs(a.place.x - b.place.x);
      return match([at(0, 1), at(20, 2), at(100, 3)], [at(18, 1), at(31, 2), at(130.1, 3)], mm)
        .map(({before, after}) => [before?.id ?? null, after?.id ?? null]);
    }""")
    assert found == [[2, 1], [1, None], [3, None], [None, 2], [None, 3]]  # 2 mm; then 1 and 2 are 31 mm apart


def make_later() -> Any:
    """The sample's later scan: three of its lesions are left, and the body lies 12 mm lower and 8 mm to the left."""
    ill, well = (make_phantom(9, tumours=tumours) for tumours in (True, False))
    labels, _ = ndimage.label(ill.mask, np.ones((3, 3)))
    near = ndimage.binary_dilation(np.isin(labels, (1, 3, 6)), iterations=8)
    return np.pad(np.where(near, ill.mip, well.mip), ((6, 0), (0, 4)), constant_values=255)[:489, 4:]


def test_a_sample_has_a_later_scan(page: Any) -> None:
    path = mipserve.__path__[0] + "/static/samples/patient-later.png"
    np.testing.assert_array_equal(np.asarray(Image.open(path)), make_later())
    page.click("#samples button:nth-child(3)")
    page.wait_for_selector("[data-phase=shown]")
    assert not page.is_visible("#sample-later")
    page.goto("/?sample=patient")
    page.wait_for_selector("[data-phase=shown]")
    page.click("#sample-later")
    page.wait_for_selector(PAIRED)
    assert page.inner_text("#later-name") == "Follow-up: patient-later.png"


def test_it_fits_where_it_is_narrow(paired: Any) -> None:
    paired.set_viewport_size({"width": 320, "height": 800})
    paired.click("#follow-pairs tr:first-child")
    assert paired.evaluate("document.documentElement.scrollWidth") == 320


def test_depth_counts_from_the_middle_of_the_body(page: Any) -> None:
    """The body is 24 mm deep in the film, its middle 12 mm from the edge; its lesions lie 6 and 26 mm from the edge."""
    frames = np.zeros((2, 3, 10), np.uint8)  # from the front and from the side, pixels of 4 mm
    frames[1, :, :6] = 200
    numbers = np.zeros_like(frames)
    numbers[1, 0, 1], numbers[1, 2, 6] = 2, 1  # 6 and 26 mm from the edge
    sheet = {
        name: np.concatenate(list(array), axis=1).ravel().tolist()
        for name, array in (("intensity", frames), ("numbers", numbers))
    }
    lesions = [{"id": number, "centroid_mm": (0, back, 0)} for number, back in ((1, -74), (2, -94), (3, -84))]
    depths = page.evaluate(
        """async ({sheet, lesions}) => {
          const {depthsOf} = await import("/static/viewer/follow/depth.js");
          const film = {...sheet, frames: 2, columns: 2, framePx: [3, 10], pixelMm: [4, 4]};
          return [...depthsOf({film, lesions})];
        }""",
        {"sheet": sheet, "lesions": lesions},
    )
    assert depths == [[1, 14], [2, -6], [3, 4]]
