"""A volume's mask that was changed: measured anew by the service, and no file of another mask is offered."""

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.long


class Correction:
    """The service's part: takes a mask, and makes the job run again."""

    def __init__(self, page: Any, job: Any) -> None:
        self.job, self.mask = job, b""
        self.refusal: dict[str, Any] | None = None
        page.route("**/v1/jobs/0a1b/mask", self._put)

    def _put(self, route: Any) -> None:
        assert route.request.method == "PUT"
        assert route.request.headers["content-type"] == "image/png"
        if self.refusal:
            route.fulfill(status=self.refusal["status"], body=json.dumps(self.refusal))
            return
        self.mask = route.request.post_data_buffer
        self.job.files["mask.png"] = self.mask
        self.job.answer = {"state": "running", "progress": 0.4, "doing": "finding and measuring lesions"}
        route.fulfill(status=202, json={"id": "0a1b", "state": "queued"})

    def finish(self, **changed: Any) -> None:
        first = self.job.record["lesions"][0]
        self.job.record["lesions"] = [{**first, "mtv_ml": 7.7, "origin": "semiautomatic"}]
        self.job.record["patient"]["total_mtv_ml"] = 7.7
        self.job.record["warnings"] = ["corrected: the mask was corrected by hand"]
        self.job.finish("seg.dcm")
        self.job.answer |= changed


@pytest.fixture
def correction(volume: Any, job: Any) -> Correction:
    """The volume, of whose mask lesion B has just been removed."""
    correction = Correction(volume, job)
    volume.focus("#picture")
    for key in ("n", "n", "e", "ArrowLeft", "ArrowRight", "Enter"):  # the eraser on the second lesion
        volume.keyboard.press(key)
    volume.wait_for_selector("#stale")
    return correction


def test_numbers_and_files_become_those_of_the_mask(volume: Any, correction: Correction) -> None:
    assert not volume.is_visible("#files")  # those are of another mask
    assert volume.inner_text("#total-mtv") == "12.3"
    shown = volume.inner_text("#area")
    volume.click("#remeasure")
    volume.wait_for_selector("#remeasure-words:text-is('Finding and measuring lesions \u2026')")
    assert volume.is_disabled("#remeasure")
    correction.finish()
    volume.wait_for_selector("#stale", state="hidden")
    assert volume.inner_text("#total-mtv") == "7.7"
    assert volume.inner_text("#area") == shown
    assert sorted(volume.locator("#files a").all_inner_texts()) == ["mask.nii.gz", "seg.dcm"]
    assert volume.is_visible("#warnings li:text('corrected by hand')")
    assert volume.inner_text("#remeasure-words") == ""
    with volume.expect_download() as download:
        volume.click("#save-mask")
    saved = np.asarray(Image.open(download.value.path()).convert("L"))
    sent = np.asarray(Image.open(io.BytesIO(correction.mask)).convert("L"))
    np.testing.assert_array_equal(saved, sent)
    assert 0 < np.count_nonzero(sent) < 120
    volume.keyboard.press("Control+z")
    assert volume.is_visible("#stale")
    volume.keyboard.press("Control+y")
    assert volume.is_visible("#files")


def test_the_slider_counts_as_well(volume: Any, job: Any) -> None:
    correction = Correction(volume, job)
    volume.eval_on_selector("#threshold", "s => { s.value = 0; s.dispatchEvent(new Event('input')) }")
    volume.click("#remeasure")
    volume.wait_for_selector("#remeasure-words:text-is('Finding and measuring lesions \u2026')")
    assert not np.asarray(Image.open(io.BytesIO(correction.mask)).convert("L")).any()
    volume.click("#own-point")  # meanwhile
    correction.finish()
    volume.wait_for_selector("#total-mtv:text-is('7.7')")
    assert volume.is_visible("#stale")  # the files are of the empty mask


@pytest.mark.parametrize("where", ["at once", "later"])
def test_a_failure_is_told_and_leaves_all_as_it_was(volume: Any, correction: Correction, where: str) -> None:
    problem = {"status": 422, "code": "invalid-mask", "title": "any", "detail": "the disk is full"}
    if where == "at once":
        correction.refusal = problem
    volume.click("#remeasure")
    if where == "later":
        volume.wait_for_selector("#remeasure-words:text-is('Finding and measuring lesions \u2026')")
        correction.job.finish()
        correction.job.answer["problem"] = problem
    volume.wait_for_selector("#remeasure-words:text-is('The disk is full.')")
    assert volume.inner_text("#total-mtv") == "12.3"
    assert volume.is_visible("#stale")
    assert volume.is_enabled("#remeasure")


def test_another_file_ends_it(volume: Any, correction: Correction, case: Any, file: str) -> None:
    volume.click("#remeasure")
    volume.wait_for_selector("#remeasure-words:text-is('Finding and measuring lesions \u2026')")
    volume.route("**/v1/segment", lambda route: route.fulfill(json=case.body()))
    volume.set_input_files("#file", file)
    volume.wait_for_selector("#volume", state="hidden")
    volume.wait_for_selector("[data-phase=shown]")
    correction.finish()
    volume.wait_for_timeout(600)
    assert volume.inner_text("#name") == "patient_1.png"
    assert not volume.is_visible("#volume")
    correction.job.assert_deleted_once()
