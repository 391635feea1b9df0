"""Each state of the judge's pages on a desk and on a phone, light and dark: it fits, and axe finds nothing.

`pytest judge/tests/test_screens.py --basetemp=FOLDER` leaves a picture of each in FOLDER.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from judge_attempts import claimed, submit
from judge_running import SIZE, Running
from test_pages import finish
from test_report import finished

from mipjudge import attempt_queue
from mipjudge.attempt_queue import Images, Scored

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]
FORMS = [(width, scheme) for width in (390, 1280) for scheme in ("light", "dark")]
URL = "http://127.0.0.1:64999/predict"
Look = Callable[[str], None]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=60_000)
        yield browser
        browser.close()


@pytest.fixture(params=FORMS, ids=lambda form: f"{form[0]}-{form[1]}")
def page(request: pytest.FixtureRequest, browser: Any) -> Iterator[Any]:
    width, scheme = request.param
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    yield page
    page.context.close()


@pytest.fixture
def look(page: Any, tmp_path: Path) -> Look:
    """Looks at the page as it is, under a name."""

    def look_at(name: str) -> None:
        page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
        found = axe.Axe().run(page).response["violations"]
        assert [(one["id"], node["html"]) for one in found for node in one["nodes"]] == []

    return look_at


def test_the_scoreboard(idle: Running, page: Any, look: Look) -> None:
    page.goto(f"{idle.client.base_url}/scoreboard")
    page.wait_for_selector("text=No attempts yet")
    look("empty")
    finished(idle, "A team with a name of forty-one letters")
    finish(idle.db, Images("old", 200, "phantoms", "c0"), 0.99, "another")
    page.reload()
    page.wait_for_selector("#state:text-matches('^1 team,')")
    assert page.locator("#boards h2").count() == 2
    look("teams")


def test_an_attempt(idle: Running, page: Any, look: Look, tmp_path: Path) -> None:
    token, (_, attempt) = idle.team()["x-token"], submit(idle.db, URL)
    page.goto(f"{idle.client.base_url}/attempts/{attempt.id}")
    page.wait_for_selector("text=The page of an attempt needs its team's token")
    look("token")
    page.fill("#token", token)
    page.click("#show")
    page.wait_for_selector("#state:text-matches('^queued')")
    look("queued")
    claim = claimed(idle.db)
    attempt_queue.begin(idle.db, claim, idle.images)
    attempt_queue.save(idle.db, claim, 0, Scored(0.5, seconds=1), 30)
    page.wait_for_selector("#progress")
    look("running")
    attempt_queue.fail(idle.db, claim, "unreachable")
    page.wait_for_selector("#faults")
    assert page.locator("#images tr").count() == SIZE
    look("failed")

    uuid, _ = finished(idle, "team")
    page.goto(f"{idle.client.base_url}/attempts/{uuid}#{token}")
    page.wait_for_selector("#figures figure:nth-child(2) img")
    page.click("[data-key=score]")
    look("done")
    with page.expect_download() as download:
        page.click("#report")
    download.value.save_as(tmp_path / "report.html")
    page.goto((tmp_path / "report.html").as_uri())
    look("report")
