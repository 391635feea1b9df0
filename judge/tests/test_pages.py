"""The scoreboard's numbers, and what the pages may load; see `test_browser.py` for their look."""

import csv
import io
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from urllib.parse import urljoin

import pytest
from judge_attempts import claimed, submit
from judge_running import BASE, SIZE, Running, assert_problem
from sqlalchemy import event, text

from mipjudge import attempt_queue, store
from mipjudge.attempt_queue import Images, Scored
from mipjudge.database import Database
from mipjudge.scoreboard import kept, make_scoreboard, points
from mipjudge.sets import build_sets
from mipjudge.tables import csv_response

TYPES = {
    "js": "text/javascript",
    "css": "text/css",
    "svg": "image/svg+xml",
    "csv": "text/csv",
    "/scoreboard": "text/html",
}


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
    few = idle.client.get("/api/v1/scoreboard?limit=1").json()
    assert [len(one["teams"]) for one in (few, *few["earlier"])] == [1, 1, 1]
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


def finish(db: Database, images: Images, score: float, name: str, kind: str = "validation") -> str:
    """An attempt on one image that is done."""
    _, attempt = submit(db, "http://127.0.0.1:64999/", kind, name)
    claim = claimed(db)
    attempt_queue.begin(db, claim, replace(images, total=1))
    attempt_queue.save(db, claim, 0, Scored(score, mask=b"x", seconds=0.12345), 30)
    attempt_queue.finish(db, claim)
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


@pytest.mark.hazard("H12")
def test_an_attempt_is_shown_with_its_teams_token_alone(idle: Running, public: Running) -> None:
    uuid = finish(idle.db, idle.images, 0.5, "a")
    attempt = f"/api/v1/attempts/{uuid}"
    for judge in (idle, public):
        # The last is how nginx passes strangers' requests on without any setting.
        for headers in ({}, {"host": "127.0.0.1:8000", "connection": "close"}):
            for path in (attempt, f"{attempt}/images.csv", f"{attempt}/report.html", f"{attempt}/figures/0"):
                assert_problem(judge.client.get(path, headers=headers), 401, "bad-token")
        assert judge.client.get(attempt, headers=judge.team("a")).status_code == 200
        assert_problem(judge.client.get(attempt, headers=judge.team("other")), 404, "unknown-attempt")
        assert_problem(judge.client.get(f"/api/v1/attempts/{'0' * 32}", headers=judge.team()), 404, "unknown-attempt")
    table = idle.client.get(f"{attempt}/images.csv", headers=idle.team("a"))
    assert table.text.splitlines() == ["image,score,seconds,reason,detail", "1,0.5,0.123,,"]


def test_of_an_evaluation_nothing_is_told_image_by_image(idle: Running) -> None:
    store.set_evaluation(idle.db, 0)
    attempt = f"/api/v1/attempts/{finish(idle.db, idle.images, 0.5, 'a', 'evaluation')}"
    team = idle.team("a")
    found = idle.client.get(attempt, headers=team).json()
    assert (found["status"], found["attempt"]["score"]) == ("done", 0.5)
    assert found.keys() & {"images", "worst"} == set()
    for path in ("images.csv", "report.html", "figures/0"):
        assert_problem(idle.client.get(f"{attempt}/{path}", headers=team), 404, "no-figure")


def test_each_image_of_a_validation_is_told_with_its_fault(idle: Running) -> None:
    _, attempt = submit(idle.db, "http://127.0.0.1:64999/", name="a")
    claim = claimed(idle.db)
    attempt_queue.begin(idle.db, claim, idle.images)
    attempt_queue.save(idle.db, claim, 1, Scored(0.0, "http-status", seconds=1.23456, detail="the status is 500"), 30)
    found = idle.client.get(f"/api/v1/attempts/{attempt.id}", headers=idle.team("a")).json()
    assert found["images"] == [
        {"position": 1, "score": 0.0, "reason": "http-status", "detail": "the status is 500", "seconds": 1.235}
    ]


def test_what_a_team_sees_of_its_attempt_stays_in_its_browser(idle: Running) -> None:
    attempt, team = f"/api/v1/attempts/{finish(idle.db, idle.images, 0.5, 'a')}", idle.team("a")
    shown = idle.client.get(attempt, headers=team)
    assert shown.json()["deadline_s"] == idle.settings.deadline_s
    caching = {
        path: idle.client.get(f"{attempt}{path}", headers=team).headers["cache-control"] for path in ("", "/images.csv")
    }
    assert caching == {"": "no-store", "/images.csv": "no-store"}


def test_equal_scores_have_equal_ranks(idle: Running) -> None:
    for name, score in {"a": 0.5, "b": 0.7, "c": 0.5, "d": 0.2, "e": 0.7}.items():
        finish(idle.db, idle.images, score, name)
    teams = idle.client.get("/api/v1/scoreboard").json()["teams"]
    assert [(team["rank"], team["team"]) for team in teams] == [(1, "b"), (1, "e"), (3, "a"), (3, "c"), (5, "d")]


def test_the_scoreboard_is_made_once_in_two_seconds() -> None:
    now, made = 0.0, []

    def make() -> dict[str, int]:
        made.append(now)
        return {"count": len(made)}

    board = kept(make, lambda: now)
    assert [board()["count"] for _ in range(3)] == [1, 1, 1]
    now = 1.9
    assert board()["count"] == 1
    now = 2.0
    assert [board()["count"] for _ in range(2)] == [2, 2]


def test_many_who_ask_at_once_have_it_made_once() -> None:
    made, start = [], Barrier(8)

    def make() -> dict[str, int]:
        made.append(1)
        time.sleep(0.05)
        return {"count": len(made)}

    board = kept(make)

    def ask(_: int) -> int:
        start.wait()
        count: int = board()["count"]
        return count

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [1] * 8


def test_the_scoreboard_reads_no_texts_of_endpoints(idle: Running) -> None:
    finish(idle.db, idle.images, 0.5, "a")
    said: list[str] = []
    event.listen(idle.db.engine, "before_cursor_execute", lambda *call: said.append(call[2]))
    make_scoreboard(idle.db, build_sets(idle.settings))
    (query,) = [text for text in said if text.startswith("SELECT")]
    assert "attempts.score" in query
    assert "api_start" not in query
    assert "api_end" not in query


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
        links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert len(links) == 6
        for link in links:  # below whatever a proxy in front cuts off
            target = urljoin(f"/mipseg{path}", link)
            assert target.startswith("/mipseg/")
            found = idle.client.get(target.removeprefix("/mipseg"))
            assert found.status_code == 200
            assert found.headers["content-type"].partition(";")[0] == TYPES[link.rpartition(".")[2]]
    for path in ("attempt.html", "..%2fapp.py", "%2e%2e%2fapp.py", "..%5capp.py", "a%00"):
        assert idle.client.get(f"/judge-static/{path}").status_code == 404
    for path in ("scoreboard.js", "attempt.js"):
        assert "innerHTML" not in idle.client.get(f"/judge-static/{path}").text
