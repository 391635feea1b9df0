"""A volume becomes a job: followed, cancelled, shown by its projection, and forgotten."""

from typing import Any


def test_it_is_followed_and_shown(page: Any, job: Any, case: Any, file: str) -> None:
    job.answer = {"state": "running", "progress": 0.35, "doing": "finding and measuring lesions"}
    page.wait_for_selector("#step:text-is('Finding and measuring lesions \u2026')")
    assert page.evaluate("document.getElementById('progress').value") == 0.35
    job.finish()
    page.wait_for_selector("[data-phase=shown]")
    assert page.inner_text("#verdict-words") == "A tumour is 91 % probable."
    assert page.inner_text("#area") == "4.8 cm\u00b2"  # 120 pixels of 2 x 2 mm
    assert page.inner_text("#total-mtv") == "12.3"
    assert page.locator("#volume tbody td").all_inner_texts() == ["1", "12.3", "9.9", "5.0", "\u2013", "62"]
    assert page.get_attribute("#volume tbody td:nth-child(5)", "title") == "the lesion is too small"
    assert page.eval_on_selector("#volume .swatch", "mark => mark.style.background") == "rgb(213, 94, 0)"
    assert page.get_attribute("#files a", "href") == "v1/jobs/0a1b/result/mask.nii.gz"
    hidden = "#spacing, #predict, #expected-figure"
    assert page.locator(hidden).locator("visible=true").count() == 0
    assert job.deleted == 0
    page.route("**/v1/segment", lambda route: route.fulfill(json=case.body()))
    page.set_input_files("#file", file)
    page.wait_for_selector("#volume", state="hidden")
    job.assert_deleted_once()


def test_cancel_ends_it(page: Any, job: Any) -> None:
    page.click("#cancel")
    page.wait_for_selector("[data-phase=start]")
    job.assert_deleted_once()


def test_its_failure_is_told(page: Any, job: Any) -> None:
    detail = "the series has no CT"
    job.answer = {"state": "failed", "problem": {"code": "invalid-image", "title": "any", "detail": detail}}
    page.wait_for_selector("#problem-detail:text-is('The series has no CT.')")


def test_it_is_forgotten_when_the_page_is_left(page: Any, job: Any) -> None:
    job.finish()
    page.wait_for_selector("[data-phase=shown]")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")
    job.assert_deleted_once()


LEAVE_AND_COME_BACK = """for (const name of ["pagehide", "pageshow"]) {
  dispatchEvent(new PageTransitionEvent(name, { persisted: true }));
}"""


def test_a_page_from_the_browser_s_cache_shows_nothing_of_a_job_that_has_ended(page: Any, job: Any) -> None:
    job.finish()
    page.wait_for_selector("[data-phase=shown]")
    page.evaluate(LEAVE_AND_COME_BACK)
    page.wait_for_selector("[data-phase=start]")
    job.assert_deleted_once()
    assert page.inner_text("#total-mtv") == ""


def test_an_image_is_still_there(page: Any, case: Any, file: str) -> None:
    page.set_input_files("#file", file)
    page.wait_for_selector("[data-phase=shown]")
    page.evaluate(f"window.still = true; {LEAVE_AND_COME_BACK}")
    page.wait_for_timeout(200)
    assert page.evaluate("window.still && document.body.dataset.phase") == "shown"


def test_of_a_body_on_its_head_no_side_is_told(page: Any, job: Any) -> None:
    job.record["warnings"] = ["orientation: the body does not seem to stand upright with its head up"]
    job.finish()
    page.wait_for_selector("#warnings li")
    assert page.locator(".side").locator("visible=true").count() == 0
