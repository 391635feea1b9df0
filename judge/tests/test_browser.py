"""The pages in a real browser: what a team calls itself stays text, and the charts and figures are there."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import judge_endpoints as endpoints
import numpy as np
import pytest
from judge_endpoints import Endpoint, answer, mask_of, png, reply, sends
from judge_running import Running

from mipjudge.sets import build_sets
from mipjudge.settings import JudgeSettings
from mipseg.metrics import dice_score

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
API = b'{"model": {"name": "unet_v8", "sha256": "abc"}, "version": "0.1.0", "uptime_s": 1}'
PREFIX = "/mipseg"
NAME = "<img src=x onerror=document.title=1>"


@pytest.fixture
def page() -> Iterator[Any]:
    """A page whose console has to stay empty, but for the icon that browsers ask for, and for the missing token."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=60_000)
        page, complaints = browser.new_context().new_page(), []
        page.set_default_timeout(60_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.context.route("**/*", as_behind_a_proxy)
        yield page
        browser.close()
        assert [text for text in complaints if "404" not in text and "401" not in text] == []


def as_behind_a_proxy(route: Any) -> None:
    """Cut `PREFIX` off the path, as a proxy in front does; what is not below it is somebody else's."""
    address = urlsplit(route.request.url)
    if address.path.startswith(f"{PREFIX}/"):
        route.continue_(url=address._replace(path=address.path.removeprefix(PREFIX)).geturl())
    else:
        route.abort()


def every_column_is_in_sight(page: Any) -> None:
    """Of the scoreboard, on a desk and on a phone."""
    wide, seen = (page.evaluate(f"document.querySelector('.wide').{name}") for name in ("scrollWidth", "clientWidth"))
    assert wide == seen
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    boxes = page.eval_on_selector_all("#boards td", "all => all.map(td => td.getBoundingClientRect().right)")
    assert len(boxes) == 8
    assert max(boxes) <= 360
    page.set_viewport_size({"width": 1280, "height": 720})


def a_new_tab_knows_the_token(page: Any) -> None:
    """While this one is open; another person's browser does not."""
    tab = page.context.new_page()
    tab.goto(page.url)
    tab.wait_for_selector("#figures figure:nth-child(5) img")
    tab.close()
    other = page.context.browser.new_context()
    other.route("**/*", as_behind_a_proxy)
    stranger = other.new_page()
    stranger.goto(page.url)
    state, words = stranger.locator("#state"), re.compile("^The page of an attempt needs its team's token")
    playwright.expect(state).to_have_text(words, timeout=60_000)
    stranger.wait_for_timeout(500)  # in which another tab of its own would tell the token
    playwright.expect(state).to_have_text(words)
    other.close()


def downloaded(page: Any, button: str, name: str) -> str:
    """The text of the file that a button gives."""
    with page.expect_download() as download:
        page.click(button)
    assert download.value.suggested_filename == name
    content: str = download.value.path().read_text()
    return content


@pytest.mark.long
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_scoreboard_and_own_attempt(settings: JudgeSettings, page: Any, tmp_path: Path) -> None:
    sets = build_sets(settings)
    cases = [sets.validation.case(place) for place in range(20)]
    masks = {c.image.tobytes(): reply(png(mask_of(np.roll(c.mask, n % 9, axis=1)))) for n, c in enumerate(cases)}
    handler = sends(lambda body: answer(masks[endpoints.image_key(body)]))
    scores = [dice_score(c.mask, np.roll(c.mask, n % 9, axis=1)) for n, c in enumerate(cases)]
    with Running(settings) as judge, Endpoint(handler, API) as endpoint:
        base, headers = str(judge.client.base_url).rstrip("/") + PREFIX, judge.team(NAME)
        page.goto(f"{base}/scoreboard")
        page.wait_for_selector("text=No attempts yet")
        uuid = judge.queue(endpoint.url, headers).json()["queued_attempt_uuid"]
        score = judge.wait(uuid, headers)["attempt"]["score"]
        page.wait_for_selector(f"text={score:.4f}")  # by itself, without a reload
        cells = page.locator("#boards td").all_inner_texts()
        assert cells[:6] == ["1", NAME, f"{score:.4f}", "\u2013", "\u2013", "1"]
        assert page.title() == "Scoreboard"
        assert page.locator("#boards img").count() == 0
        assert page.inner_text("#state").startswith("1 team, updated ")
        assert page.inner_text("#boards h2") == "Scored on 20 patients of the data set"
        page.screenshot(path=tmp_path / "scoreboard.png")
        every_column_is_in_sight(page)

        page.click("#boards a")
        page.wait_for_selector("text=The page of an attempt needs its team's token")
        assert page.is_visible("#form")
        page.goto(f"{base}/attempts/{uuid}#{headers['x-token']}")  # as `validate` prints it, into the same tab
        page.wait_for_selector("#figures figure:nth-child(5) img")
        assert page.url == f"{base}/attempts/{uuid}"
        page.goto(f"{base}/scoreboard")
        page.click("#boards a")  # the tab knows the token now
        page.wait_for_selector("#figures figure:nth-child(5) img")
        a_new_tab_knows_the_token(page)
        facts = [page.inner_text(name) for name in ("#address", "#model", "#set")]
        assert facts == [endpoint.url, "unet_v8, abc; 0.1.0", "20 patients of the data set"]
        assert page.locator("#dice .tick").all_text_contents() == ["0", "0.5", "1", "1", "10", "20", "image"]
        first = page.locator("#images tr:first-child td:first-child")
        assert (first.inner_text(), page.locator("#images tr").count()) == ("1", 20)
        for wanted in (min(scores), max(scores)):
            page.click("[data-key=score]")
            assert page.inner_text("#images tr:first-child td:nth-child(2)") == f"{wanted:.4f}"
        assert downloaded(page, "#csv", f"attempt-{uuid}.csv").splitlines()[0] == "image,score,seconds,reason,detail"
        assert f"{score:.4f}" in downloaded(page, "#report", f"attempt-{uuid}.html")
        assert page.inner_text("#state") == f"done, 20 of 20 images, score {score:.4f}"
        assert page.locator("#dice rect").count() == page.locator("#latency rect").count() == 20
        assert page.inner_text("#limit") == "5"
        assert 0 < float(page.inner_text("#median")) <= float(page.inner_text("#slowest")) < 5
        assert page.locator("#progress, #faults").locator("visible=true").count() == 0
        sizes = page.eval_on_selector_all("#figures img", "all => all.map(i => [i.naturalWidth, i.naturalHeight])")
        assert sizes == [[70, 90]] * 5
        page.screenshot(path=tmp_path / "attempt.png", full_page=True)
        page.set_viewport_size({"width": 360, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        page.goto("about:blank")
