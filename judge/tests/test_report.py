"""The report of an attempt: its numbers, its pictures, and who gets it."""

from typing import Any

import numpy as np
import pytest
from judge_attempts import claimed, submit
from judge_running import SIZE, Running, assert_problem
from sqlalchemy import text

from mipjudge import attempt_queue
from mipjudge.attempt_queue import Scored
from mipjudge.sets import build_sets
from mipjudge.settings import JudgeSettings
from mipseg.io.mask_png import encode_png
from mipseg.metrics import dice_score
from tests.report.pages import read_page


def finished(judge: Running, name: str = "a") -> tuple[str, float]:
    """A validation that is done: one perfect mask, one that is off, no other answers; and the second score."""
    case = build_sets(judge.settings).validation.case(1)
    shifted = np.roll(case.mask, 6, axis=1)
    score = dice_score(case.mask, shifted)
    _, attempt = submit(judge.db, "http://127.0.0.1:64999/predict", name=name)
    claim = claimed(judge.db)
    attempt_queue.begin(judge.db, claim, judge.images)
    first = encode_png(build_sets(judge.settings).validation.case(0).mask)
    for position, scored in enumerate([
        Scored(1.0, mask=first, seconds=1), Scored(score, mask=encode_png(shifted), seconds=2),
        *(Scored(0.0, "timeout", seconds=4) for _ in range(SIZE - 2)),
    ]):  # fmt: skip
        attempt_queue.save(judge.db, claim, position, scored, 30)
    attempt_queue.finish(judge.db, claim)
    return attempt.id, score


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_numbers_and_pictures(idle: Running) -> None:
    uuid, score = finished(idle)
    response = idle.client.get(f"/api/v1/attempts/{uuid}/report.html", headers=idle.team("a"))
    assert response.headers["content-disposition"] == f'attachment; filename="attempt-{uuid}.html"'
    assert "script-src 'self'" in response.headers["content-security-policy"]
    figure = idle.client.get(f"/api/v1/attempts/{uuid}/figures/0", headers=idle.team("a"))
    assert figure.headers["content-type"] == "image/png"
    assert [one.headers["cache-control"] for one in (response, figure)] == ["private", "private, max-age=3600"]
    page = read_page(response.text)
    assert page.facts["Mean Dice"].startswith(f"{(1 + score) / SIZE:.4f} (95 % interval 0.000 to 0.")
    assert page.facts["Seconds per image"] == "median 4.00, 95 % within 4.00, most 4.00"
    assert (page.facts["Without a usable mask"], page.facts["Attempt"]) == (str(SIZE - 2), uuid)
    assert page.facts["Images"] == f"{SIZE} patients of the data set"
    rows = page.tables["Lowest Dice first"][1:]
    assert rows[0] == ["image 003", "0.000", "4.00", "timeout"]
    assert rows[-2:] == [["image 002", f"{score:.3f}", "2.00", ""], ["image 001", "1.000", "1.00", ""]]
    # 12 columns of 20 rows, of which half are hit.
    assert page.pictures[1:3] == [
        "Image of image 002",
        "The same with 120 px true positive, 120 px false positive, 120 px false negative",
    ]
    assert len(page.pictures) == 1 + 2 * 2


def assert_no_pictures(judge: Running, uuid: str) -> None:
    attempt, headers = f"/api/v1/attempts/{uuid}", judge.team("a")
    page = read_page(judge.client.get(f"{attempt}/report.html", headers=headers).text)
    assert len(page.pictures) == 1  # of the distribution
    assert len(page.tables["Lowest Dice first"]) == SIZE + 1
    assert judge.client.get(attempt, headers=headers).json()["worst"] == []
    for position in range(SIZE):
        assert_problem(judge.client.get(f"{attempt}/figures/{position}", headers=headers), 404, "no-figure")


def test_images_that_have_changed_since_are_not_shown(idle: Running) -> None:
    uuid, _ = finished(idle)
    with idle.db.write() as session:
        session.execute(text("UPDATE attempts SET image_set = 'other'"))
    assert_no_pictures(idle, uuid)


@pytest.mark.parametrize("settings_of_others", [{"host": "0.0.0.0"}, {"local": False}])
def test_a_judge_for_others_shows_no_reference(settings: JudgeSettings, settings_of_others: dict[str, Any]) -> None:
    with Running(settings.model_copy(update={"workers": 0} | settings_of_others)) as judge:
        assert_no_pictures(judge, finished(judge)[0])


def test_it_is_the_own_one_of_a_team(idle: Running, public: Running) -> None:
    uuid, _ = finished(idle)
    path = f"/api/v1/attempts/{uuid}/report.html"
    assert_problem(public.client.get(path), 401, "bad-token")
    assert public.client.get(path, headers=public.team("a")).status_code == 200
    assert_problem(public.client.get(path, headers=public.team("b")), 404, "unknown-attempt")


def test_only_finished_validations_have_one(idle: Running) -> None:
    team = idle.team("a")
    waiting = idle.queue("http://127.0.0.1:64999/", team).json()["queued_attempt_uuid"]
    assert_problem(idle.client.get(f"/api/v1/attempts/{waiting}/report.html", headers=team), 404, "no-figure")
