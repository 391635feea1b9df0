"""The scoreboard's numbers, and what the pages may load; see `test_browser.py` for their look."""

import csv
import io
import re
from dataclasses import replace

import pytest
from judge_attempts import claimed, submit
from judge_running import BASE, SIZE, Running, assert_problem
from sqlalchemy import text

from mipjudge import attempt_queue, store
from mipjudge.attempt_queue import Images, Scored
from mipjudge.database import Database
from mipjudge.scoreboard import points
from mipjudge.tables import csv_response


def test_the_scoreboard_ranks_and_counts(idle: Running) -> None:
    scores = {"first": (0.5, 0.9), "second": (0.8, 0.7), "third": (0.6, None), "<script>alert(1)</script>": (0.2, None)}
    for name, (validation, evaluation) in scores.items():
        team = store.local_team(idle.db, name)[0]
        with idle.db.write() as session:
            for number, (kind, score) in enumerate((("validation", validation), ("evaluation", evaluation))):
                if score is not None:
                    session.execute(
                        text(
                            "INSERT INTO attempts (id, team_id, kind, url, status, enqueued_at, finished_at, score,"
                            " fence, lease_until) VALUES (:id, :team, :kind, 'u', 'done', 1, :at, :score, 0, 0)"
                        ),
                        {
                            "id": f"{team.id[:31]}{number}",
                            "team": team.id,
                            "kind": kind,
                            "at": number + 2.0,
                            "score": score,
                        },
                    )
    board = idle.client.get("/api/v1/scoreboard").json()
    rows = [
        (t["rank"], t["team"], t["best_validation_score"], t["evaluation_score"], t["points"]) for t in board["teams"]
    ]
    assert rows == [
        (1, "first", 0.5, 0.9, 25.0),
        (2, "second", 0.8, 0.7, 18.0),
        (3, "third", 0.6, None, None),
        (4, "<script>alert(1)</script>", 0.2, None, None),
    ]
    first = store.local_team(idle.db, "first")[0].id
    assert board["teams"][0]["history"] == [
        {"at": "1970-01-01T00:00:02.000000+00:00", "type": "validation", "score": 0.5, "uuid": f"{first[:31]}0"},
        {"at": "1970-01-01T00:00:03.000000+00:00", "type": "evaluation", "score": 0.9, "uuid": f"{first[:31]}1"},
    ]
    assert (board["teams"][0]["attempts"], board["count"]) == (2, 4)
    assert len(idle.client.get("/api/v1/scoreboard?limit=1").json()["teams"]) == 1
    for limit in (10**9, 0, -1, "x"):
        assert_problem(idle.client.get(f"/api/v1/scoreboard?limit={limit}"), 422, "invalid-request")


def test_scores_of_different_images_are_kept_apart_and_named(idle: Running) -> None:
    for number, (images, score) in enumerate([
        (Images("old", 200, "phantoms", "c0"), 0.99), (idle.images, 0.5), (Images("older", 30, "dataset", "c1"), 0.7),
        (idle.images, 0.123456789),
    ]):  # fmt: skip
        finish(idle.db, images, score, "a" if number < 3 else "=cmd()")
    board = idle.client.get("/api/v1/scoreboard").json()
    assert board["set"] == f"{SIZE} patients of the data set"
    assert [(team["team"], team["best_validation_score"]) for team in board["teams"]] == [
        ("a", 0.5),
        ("=cmd()", 0.1235),
    ]
    assert [(one["set"], one["teams"][0]["best_validation_score"], one["count"]) for one in board["earlier"]] == [
        ("30 patients of the data set", 0.7, 1), ("200 phantoms", 0.99, 1),
    ]  # fmt: skip
    table = idle.client.get("/api/v1/scoreboard.csv")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert table.headers["content-disposition"] == 'attachment; filename="scoreboard.csv"'
    rows = list(csv.reader(table.text.splitlines()))
    assert rows[0] == [
        "set", "rank", "team", "best_validation_score", "evaluation_score", "points", "attempts", "last_change",
    ]  # fmt: skip
    assert [row[:5] for row in rows[1:]] == [
        [f"{SIZE} patients of the data set", "1", "a", "0.5", ""],
        [f"{SIZE} patients of the data set", "2", "'=cmd()", "0.1235", ""],
        ["30 patients of the data set", "1", "a", "0.7", ""],
        ["200 phantoms", "1", "a", "0.99", ""],
    ]


def finish(db: Database, images: Images, score: float, name: str) -> str:
    """An attempt on one image that is done."""
    _, attempt = submit(db, "http://127.0.0.1:64999/", name=name)
    job = claimed(db)
    attempt_queue.begin(db, job, replace(images, total=1))
    attempt_queue.save(db, job, 0, Scored(score, mask=b"x", seconds=0.12345), 30)
    attempt_queue.finish(db, job)
    with db.write() as session:
        values = {"total": images.total, "id": attempt.id}
        session.execute(text("UPDATE attempts SET total = :total WHERE id = :id"), values)
    return attempt.id


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "=cmd|' /C calc'!A0"])
def test_no_cell_is_a_formula(cell: str) -> None:
    response = csv_response("x.csv", ["a", "b"], [[cell, -1]])
    assert list(csv.reader(io.StringIO(bytes(response.body).decode(), newline=""))) == [["a", "b"], [f"'{cell}", "-1"]]


def test_published_scores_have_four_decimals(idle: Running) -> None:
    headers = idle.team("a")
    uuid = finish(idle.db, idle.images, 0.123456789, "a")
    with idle.db.read() as session:
        assert session.execute(text("SELECT score FROM attempts")).scalar_one() == pytest.approx(0.123456789, abs=1e-12)
    queue = f"{BASE}/validate/queue/{uuid}"
    texts = {
        path: idle.client.get(path, headers=headers).text
        for path in (queue, f"{queue}/attempt", f"{BASE}/status", f"/api/v1/validation/{uuid}", "/api/v1/scoreboard",
                     f"/api/v1/attempts/{uuid}", f"/api/v1/attempts/{uuid}/images.csv")
    }  # fmt: skip
    for path, content in texts.items():
        assert re.findall(r"0\.123\d+", content.replace("0.123,", "")) == ["0.1235"] * content.count("0.1235"), path
        assert "0.1235" in content


def test_a_local_judge_shows_an_attempt_without_a_token_and_another_does_not(idle: Running, public: Running) -> None:
    uuid = finish(idle.db, idle.images, 0.5, "a")
    paths = [f"/api/v1/attempts/{uuid}", f"/api/v1/attempts/{uuid}/images.csv"]
    assert [idle.client.get(path).status_code for path in paths] == [200, 200]
    assert_problem(idle.client.get(paths[0], headers=idle.team("other")), 404, "unknown-attempt")
    assert_problem(idle.client.get(f"/api/v1/attempts/{'0' * 32}"), 404, "unknown-attempt")
    for path in paths:
        assert_problem(public.client.get(path), 401, "bad-token")
        assert public.client.get(path, headers=public.team("a")).status_code == 200
    table = idle.client.get(paths[1])
    assert table.text.splitlines() == ["image,score,seconds,reason,detail", "1,0.5,0.123,,"]


def test_points_follow_formula_1_and_then_fall_from_1_towards_0() -> None:
    assert [points(place, 30) for place in range(1, 11)] == [25, 18, 15, 12, 10, 8, 6, 4, 2, 1]
    below = [points(place, 14) for place in range(10, 15)]
    assert below == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])


@pytest.mark.hazard("H22")
def test_pages_run_no_foreign_script(idle: Running) -> None:
    for path in ("/scoreboard", "/attempts/x"):
        page = idle.client.get(path)
        assert page.status_code == 200
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert "<script>" not in page.text
        for name in re.findall(r'(?:src|href)="(/judge-static/[^"]+)"', page.text):
            assert idle.client.get(name).status_code == 200
    for path in ("attempt.html", "..%2fapp.py", "%2e%2e%2fapp.py", "..%5capp.py", "a%00"):
        assert idle.client.get(f"/judge-static/{path}").status_code == 404
    for path in ("scoreboard.js", "attempt.js"):
        assert "innerHTML" not in idle.client.get(f"/judge-static/{path}").text
