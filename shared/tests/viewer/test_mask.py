"""The mask, its numbers, and what is saved: one and the same thing."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from scipy import ndimage

from mipseg.io.codec import decode_request, encode_request
from mipseg.measure.lesions_2d import measure_lesions
from mipseg.metrics import NEIGHBOURS, dice_score

ORANGE, GREEN, BLUE = (213, 94, 0), (0, 158, 115), (86, 180, 233)
Bool = npt.NDArray[np.bool_]


def saved_mask(page: Any) -> Bool:
    with page.expect_download() as download:
        page.click("#save-mask")
    assert download.value.suggested_filename == "patient_1-mask.png"
    pixels = np.asarray(Image.open(download.value.path()).convert("RGB"))
    assert set(np.unique(pixels)) <= {0, 255}
    return np.asarray(pixels[:, :, 0] == 255)


def move(page: Any, threshold: int) -> None:
    """Put the slider where pixels count from a probability of `threshold` / 255."""
    page.eval_on_selector(
        "#threshold",
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input', {bubbles: true})) }",
        256 - threshold,
    )


def figures(page: Any) -> list[str]:
    return [page.inner_text(f"#{name}") for name in ("count", "area", "expected")]


def expected_dice(mask: Bool, probability: npt.NDArray[np.uint8], temperature: float) -> float:
    """As the model's decoding has it, from probabilities in 8 bits."""
    p = np.clip(probability.astype(float) / 255, 1e-9, 1 - 1e-4)
    q = np.where(probability < 3, 0, 1 / (1 + ((1 - p) / p) ** temperature))
    return float(2 * q[mask].sum() / (mask.sum() + q.sum()))


def test_at_first_it_is_the_models_own(shown: Any, case: Any) -> None:
    case_mask = case.mask == 255
    np.testing.assert_array_equal(saved_mask(shown), case_mask)
    expected = expected_dice(case_mask, case.probability, 0.5)
    assert figures(shown) == ["2", "120 px", f"{expected:.2f}"]
    assert shown.inner_text("#point-words") == "The model's own mask: pixels from a probability of 0.50."
    assert shown.is_disabled("#own-point")


@pytest.mark.parametrize("threshold", [3, 78, 256])
def test_the_slider_cuts_the_probabilities(shown: Any, case: Any, threshold: int) -> None:
    move(shown, threshold)
    mask = case.probability >= threshold
    np.testing.assert_array_equal(saved_mask(shown), mask)
    expected = f"{expected_dice(mask, case.probability, 0.5):.2f}" if mask.any() else "\u2013"
    assert figures(shown) == [str(ndimage.label(mask, NEIGHBOURS)[1]), f"{mask.sum()} px", expected]
    shown.click("#own-point")
    np.testing.assert_array_equal(saved_mask(shown), case.mask == 255)


def test_the_models_own_mask_may_leave_out_what_is_as_probable(page: Any, case: Any, file: str) -> None:
    case.mask[50:54] = 0  # B, as if it were nowhere certain enough
    case.probability[25, 50] = 230
    page.set_input_files("#file", file)
    page.wait_for_selector("[data-phase=shown]")
    np.testing.assert_array_equal(saved_mask(page), case.mask == 255)
    move(page, 200)
    assert saved_mask(page)[25, 50]
    page.click("#own-point")
    np.testing.assert_array_equal(saved_mask(page), case.mask == 255)


def test_lesions_are_measured_as_by_the_service(shown: Any, case: Any) -> None:
    move(shown, 51)
    intensity = ((255 - case.image) / 255).astype(np.float32)
    probability = (case.probability / 255).astype(np.float32)
    wanted = [
        [str(one.id), str(one.area_px), f"{one.mean_intensity:.2f}", f"{one.probability:.2f}"]
        for one in measure_lesions(case.probability >= 51, intensity, probability)
    ]
    rows = [row.split() for row in shown.locator("#lesions tbody tr").all_inner_texts()]
    assert rows == wanted
    assert rows[2] == ["3", "6", "0.39", "0.20"]


def test_the_table_is_sorted_copied_and_saved(shown: Any) -> None:
    move(shown, 51)
    shown.click("#lesions th button:text('Probability')")
    rows = shown.locator("#lesions tbody td:first-child").all_inner_texts()
    assert rows == ["1", "2", "3"]
    assert shown.get_attribute("#lesions th:last-child", "aria-sort") == "descending"
    shown.click("#lesions th button:text('Probability')")
    assert shown.locator("#lesions tbody td:first-child").all_inner_texts() == ["3", "2", "1"]
    shown.click("#copy")
    shown.wait_for_selector("#copy:text-is('Copied')")
    first = "3\t6\t0.39\t0.20"
    header = "lesion\tarea_px\tmean_intensity\tprobability"
    assert shown.evaluate("navigator.clipboard.readText()").splitlines()[:2] == [header, first]
    with shown.expect_download() as download:
        shown.click("#csv")
    assert download.value.suggested_filename == "patient_1-lesions.csv"
    assert Path(download.value.path()).read_text().splitlines()[:2] == [
        header.replace("\t", ","),
        first.replace("\t", ","),
    ]


def picture(page: Any) -> npt.NDArray[np.uint8]:
    """The saved picture, one pixel for each of the image (the middle of its 10 x 10)."""
    with page.expect_download() as download:
        page.click("#save-picture")
    pixels = np.asarray(Image.open(download.value.path()).convert("RGB"))
    assert pixels.shape == (1000, 800, 3)
    return np.asarray(pixels[5::10, 5::10])


def test_what_is_drawn(shown: Any, case: Any) -> None:
    shown.evaluate("document.getElementById('fill').value = 1")
    shown.dispatch_event("#fill", "input")
    found = picture(shown)
    np.testing.assert_array_equal((found == ORANGE).all(axis=2), case.mask == 255)
    shown.evaluate("document.getElementById('fill').value = 0")
    shown.dispatch_event("#fill", "input")
    np.testing.assert_array_equal(picture(shown)[:, :, 0], case.image)
    shown.uncheck("#dark-is-hot")
    np.testing.assert_array_equal(picture(shown)[:, :, 0], 255 - case.image)
    shown.check("#dark-is-hot")
    shown.check("#heat")
    changed = (picture(shown) != case.image[:, :, None]).any(axis=2)
    np.testing.assert_array_equal(changed, case.probability > 0)
    assert shown.is_visible("#heat-legend")


def test_a_reference_is_compared(shown: Any, case: Any, drop: Any) -> None:
    reference = np.zeros(case.image.shape, np.uint8)
    reference[12:20, 30:45] = 255
    buffer = io.BytesIO()
    Image.fromarray(reference).save(buffer, "PNG")
    drop(reference=buffer.getvalue())
    shown.wait_for_selector("#agreement")
    prediction, truth = case.mask == 255, reference == 255
    assert shown.inner_text("#dice") == f"{dice_score(truth, prediction):.3f}" == "0.667"
    assert [shown.inner_text(f"#{name}") for name in ("tp", "fp", "fn")] == ["80 px", "40 px", "40 px"]
    assert shown.inner_text("#name") == "patient_1.png"
    found = picture(shown)
    for colour, part in ((GREEN, truth & prediction), (ORANGE, prediction & ~truth), (BLUE, truth & ~prediction)):
        wanted = 0.85 * np.array(colour) + 0.15 * case.image[part][:, None]
        np.testing.assert_allclose(found[part], wanted, atol=2)
    move(shown, 77)  # the agreement follows the mask
    assert shown.inner_text("#dice") == f"{dice_score(truth, case.probability >= 77):.3f}"
    shown.click("#no-reference")
    assert not shown.is_visible("#agreement")


def test_a_reference_that_does_not_fit_is_refused(shown: Any, case: Any, drop: Any, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(buffer, "PNG")
    drop(other=buffer.getvalue())
    shown.wait_for_selector("#compare-words.bad")
    words = "That mask is for another image: the mask has 40 x 30 pixels, the image 80 x 100."
    assert shown.inner_text("#compare-words") == words
    Image.fromarray(case.image).save(tmp_path / "grey.png")
    shown.set_input_files("#reference-file", tmp_path / "grey.png")
    shown.wait_for_selector("text=That is not a mask: it must be a PNG, white in tumours and black elsewhere.")


def test_image_and_reference_dropped_together(page: Any, case: Any, file: str, drop: Any) -> None:
    buffer = io.BytesIO()
    Image.fromarray(case.mask).save(buffer, "PNG")
    drop(truth=buffer.getvalue(), scan=Path(file).read_bytes())
    page.wait_for_selector("#agreement")
    assert page.inner_text("#name") == "scan.png"
    assert page.inner_text("#dice") == "1.000"


def test_a_samples_reference_is_at_hand(page: Any, case: Any, address: str) -> None:
    sample = np.asarray(Image.open(io.BytesIO(page.request.get("static/samples/patient.png").body())))
    truth = np.asarray(Image.open(io.BytesIO(page.request.get("static/samples/patient-reference.png").body())))
    case.image = sample
    case.mask, case.probability = (np.zeros(sample.shape, np.uint8) for _ in range(2))
    case.mask[100:200, 100:200] = case.probability[100:200, 100:200] = 255
    page.click("#samples button:first-child")
    page.click("#own-reference")
    page.wait_for_selector("#agreement")
    assert page.inner_text("#dice") == f"{dice_score(truth, case.mask):.3f}"


def test_of_very_many_lesions_the_table_shows_the_first(page: Any, case: Any, file: str) -> None:
    case.mask[::2, ::2] = 255
    case.probability[:] = 128
    page.set_input_files("#file", file)
    page.wait_for_selector("[data-phase=shown]")
    count = ndimage.label(case.mask, NEIGHBOURS)[1]
    assert page.locator("#lesions tbody tr").count() == 100
    assert page.inner_text("#lesions-words") == f"And {count - 100} more, in the CSV."


def test_a_teams_own_mask_is_shown_and_compared(shown: Any, case: Any) -> None:
    own = np.zeros(case.image.shape, np.uint8)
    own[10:15, 30:40] = 255
    body = {"img": encode_request(np.repeat(own[:, :, None], 3, 2))}
    shown.route("**/tumor/predict", lambda route: route.fulfill(json=body))
    with shown.expect_request("**/tumor/predict") as request:
        shown.click("#predict")
    np.testing.assert_array_equal(decode_request(request.value.post_data_json["img"])[:, :, 0], case.image)
    shown.wait_for_selector("#area:text-is('50 px')")
    np.testing.assert_array_equal(saved_mask(shown), own == 255)
    shown.click("#own-point")
    np.testing.assert_array_equal(saved_mask(shown), case.mask == 255)
    refusal = {"code": "prediction-failed", "detail": "the prediction function raised an error; see the log"}
    shown.route("**/tumor/predict", lambda route: route.fulfill(status=422, json=refusal))
    shown.click("#predict")
    shown.wait_for_selector("#point-words:text-is('The prediction function raised an error; see the log.')")
