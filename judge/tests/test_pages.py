"""The scoreboard's numbers, and what the pages may load; see `test_browser.py` for their look."""

import re

import pytest
from judge_running import assert_problem
from sqlalchemy import text

from mipjudge import store
from mipjudge.scoreboard import points


def test_the_scoreboard_ranks_and_counts(idle):
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
    assert board["teams"][0]["history"] == [
        {"at": "1970-01-01T00:00:02.000000+00:00", "type": "validation", "score": 0.5},
        {"at": "1970-01-01T00:00:03.000000+00:00", "type": "evaluation", "score": 0.9},
    ]
    assert (board["teams"][0]["attempts"], board["count"]) == (2, 4)
    assert len(idle.client.get("/api/v1/scoreboard?limit=1").json()["teams"]) == 1
    for limit in (10**9, 0, -1, "x"):
        assert_problem(idle.client.get(f"/api/v1/scoreboard?limit={limit}"), 422, "invalid-request")


def test_points_follow_formula_1_and_then_fall_from_1_towards_0():
    assert [points(place, 30) for place in range(1, 11)] == [25, 18, 15, 12, 10, 8, 6, 4, 2, 1]
    below = [points(place, 14) for place in range(10, 15)]
    assert below == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])


@pytest.mark.hazard("H22")
def test_pages_run_no_foreign_script(idle):
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
