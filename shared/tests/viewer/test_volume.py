"""A volume becomes a job: followed, cancelled, shown by its projection, and forgotten."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

LESION = {"id": 1, "mtv_ml": 12.34, "suv_max": 9.87, "suv_mean": 5.04, "suv_peak": None, "tlg_g": 62.2}
RECORD = {
    "model": "unet_v8",
    "model_sha256": "0123456789abcdef",
    "has_tumour": 0.91,
    "warnings": [],
    "lesions": [{**LESION, "reasons": {"suv_peak": "the lesion is too small"}}],
    "patient": {"total_mtv_ml": 12.34, "total_tlg_g": 62.2, "suv_max": 9.87},
}
DONE = {"state": "done", "files": [{"name": "mask.nii.gz", "size": 19233}], "problem": None}


class Job:
    """A job on the service, as the test lets it stand.

    Attributes:
        answer: to who asks for it.
        deleted: how often it was deleted.
    """

    def __init__(self, page: Any, case: Any) -> None:
        self.answer: dict[str, Any] = {"state": "queued", "progress": 0, "doing": "waiting for its turn"}
        self.deleted = 0
        self._body = case.body()
        page.route("**/v1/segment", lambda route: route.fulfill(status=202, json={"id": "0a1b", "state": "queued"}))
        page.route("**/v1/jobs/0a1b", self._job)
        page.route("**/v1/jobs/0a1b/result/*", self._result)

    def _job(self, route: Any) -> None:
        if route.request.method == "DELETE":
            self.deleted += 1
            route.fulfill(status=204)
        else:
            route.fulfill(json=self.answer)

    def _result(self, route: Any) -> None:
        name = route.request.url.rsplit("/", 1)[1]
        if name == "measurements.json":
            route.fulfill(json=RECORD)
        else:
            field = {"mip.png": "image", "mask.png": "mask", "probability.png": "probability"}[name]
            route.fulfill(body=base64.b64decode(self._body[field]), content_type="image/png")


@pytest.fixture
def job(page: Any, case: Any, drop: Callable[..., None]) -> Job:
    """The job of a volume that was dropped."""
    job = Job(page, case)
    drop(scan=b"NIfTI")
    page.wait_for_selector("#step:text-is('Waiting for its turn \u2026')")
    return job


def test_it_is_followed_and_shown(page: Any, job: Job, case: Any, file: str) -> None:
    job.answer = {"state": "running", "progress": 0.35, "doing": "finding and measuring lesions"}
    page.wait_for_selector("#step:text-is('Finding and measuring lesions \u2026')")
    assert page.evaluate("document.getElementById('progress').value") == 0.35
    job.answer = DONE
    page.wait_for_selector("[data-phase=shown]")
    assert page.inner_text("#verdict-words") == "A tumour is 91 % probable."
    assert page.inner_text("#area") == "4.8 cm\u00b2"  # 120 pixels of 2 x 2 mm
    assert page.inner_text("#total-mtv") == "12.3"
    assert page.locator("#volume tbody td").all_inner_texts() == ["1", "12.3", "9.9", "5.0", "\u2013", "62"]
    assert page.get_attribute("#volume tbody td:nth-child(5)", "title") == "the lesion is too small"
    assert page.get_attribute("#files a", "href") == "v1/jobs/0a1b/result/mask.nii.gz"
    hidden = "#spacing, #predict, #expected-figure"
    assert page.locator(hidden).locator("visible=true").count() == 0
    assert job.deleted == 0
    page.route("**/v1/segment", lambda route: route.fulfill(json=case.body()))
    page.set_input_files("#file", file)
    page.wait_for_function("document.getElementById('volume').hidden")
    assert job.deleted == 1


def test_cancel_ends_it(page: Any, job: Job) -> None:
    page.click("#cancel")
    page.wait_for_selector("[data-phase=start]")
    page.wait_for_timeout(100)
    assert job.deleted == 1


def test_its_failure_is_told(page: Any, job: Job) -> None:
    detail = "the series has no CT"
    job.answer = {"state": "failed", "problem": {"code": "invalid-image", "title": "any", "detail": detail}}
    page.wait_for_selector("#problem-detail:text-is('The series has no CT.')")


def test_it_is_forgotten_when_the_page_is_left(page: Any, job: Job) -> None:
    job.answer = DONE
    page.wait_for_selector("[data-phase=shown]")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")
    page.wait_for_timeout(200)
    assert job.deleted == 1
