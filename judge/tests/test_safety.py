"""What strangers may not do: reach inner addresses, see what is not theirs, or write into the log."""

import json
import time
from pathlib import Path

import judge_endpoints as endpoints
import pytest
from judge_endpoints import Endpoint, answer, sends
from judge_processes import judge_process
from judge_running import BASE, Running, assert_problem
from sqlalchemy import text

from mipjudge import store
from mipjudge.settings import JudgeSettings
from mipseg.http.local_secret import HEADER, make_secret

CANARY = "canary-7f3a91"


@pytest.mark.parametrize("method_path", [
    ("GET", f"{BASE}/status"), ("POST", f"{BASE}/verify"), ("POST", f"{BASE}/validate/queue"),
    ("GET", f"{BASE}/validate/queue/{'0' * 32}"), ("POST", f"{BASE}/evaluate/queue"),
    ("GET", f"{BASE}/evaluate/queue/{'0' * 32}"), ("GET", f"{BASE}/validate/queue/{'0' * 32}/attempt"),
    ("DELETE", f"{BASE}/validate/queue/{'0' * 32}"), ("DELETE", f"{BASE}/evaluate/queue/{'0' * 32}"),
    ("GET", f"/api/v1/validation/{'0' * 32}"), ("GET", f"/api/v1/attempts/{'0' * 32}"),
    ("GET", f"/api/v1/attempts/{'0' * 32}/images.csv"), ("GET", f"/api/v1/attempts/{'0' * 32}/figures/0"),
])  # fmt: skip
def test_every_call_needs_a_token(public: Running, method_path: tuple[str, str]) -> None:
    method, path = method_path
    body = {"url": "http://127.0.0.1:64999/"} if method == "POST" else None
    for headers in ({}, {"x-token": "wrong"}, {"x-token": "x" * 5000}):
        assert_problem(public.client.request(method, path, json=body, headers=headers), 401, "bad-token")


def test_every_answer_says_how_it_may_be_shown(idle: Running) -> None:
    for path in ("/livez", "/api/v1/nothing", "/openapi.json", "/scoreboard", "/docs"):
        headers = idle.client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"], path
        assert idle.client.head(path).status_code == idle.client.get(path).status_code, path


@pytest.mark.hazard("H12")
def test_nothing_can_be_written_without_a_token_by_others(public: Running) -> None:
    calls = [
        (method, path)
        for path, methods in public.client.get("/openapi.json").json()["paths"].items()
        for method in methods
        if method != "get"
    ]
    assert len(calls) == 6  # operators have a command line, and no call
    for method, path in calls:
        response = public.client.request(method, path, json={"url": "http://8.8.8.8/"})
        assert response.status_code == (404 if path.endswith("/local/team") else 401), path


def test_foreign_and_odd_ids_are_unknown(idle: Running) -> None:
    uuid = idle.queue("http://127.0.0.1:64999/", idle.team()).json()["queued_attempt_uuid"]
    path = f"{BASE}/validate/queue"
    assert idle.client.get(f"{path}/{uuid}", headers=idle.team()).status_code == 200
    assert_problem(idle.client.get(f"{path}/{uuid}", headers=idle.team("other")), 404, "unknown-attempt")
    assert_problem(idle.client.get(f"{BASE}/evaluate/queue/{uuid}", headers=idle.team()), 404, "unknown-attempt")
    for odd in (
        "..%2f",
        "..%2f..%2fetc%2fpasswd",
        "%252e%252e",
        "..%5c..%5cx",
        "a%00b",
        "..",
        "%2e%2e%2f",
        uuid.upper() + "x",
        "x" * 999,
    ):
        assert idle.client.get(f"{path}/{odd}", headers=idle.team()).status_code == 404


HOSTILE = [
    "http://169.254.169.254/", "http://127.0.0.1:{port}/", "http://[::1]:{port}/", "http://[::ffff:7f00:1]:{port}/",
    "http://2130706433:{port}/", "http://0x7f.1:{port}/", "http://localhost:{port}/", "http://localhost.:{port}/",
    "http://0.0.0.0:{port}/", "http://10.0.0.1/", "http://172.16.0.1/", "http://192.168.0.1/", "http://100.64.0.1/",
    "http://[fd00::1]/", "http://[fe80::1]/", "http://[64:ff9b::7f00:1]:{port}/", "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/", "http://user:pw@8.8.8.8/", "http://8.8.8.8:22/", "http://8.8.8.8@127.0.0.1:{port}/",
    "ftp://8.8.8.8/", "http://", "", "x" * 3000,
]  # fmt: skip


def test_hostile_urls_are_422_and_reach_nobody(public: Running) -> None:
    headers = public.team()
    store.set_evaluation(public.db, 0)
    with Endpoint(endpoints.hang) as canary:
        for url in HOSTILE:
            for call in ("verify", "validate/queue", "evaluate/queue"):
                body = {"url": url.format(port=canary.port)}
                response = public.client.post(f"{BASE}/{call}", json=body, headers=headers)
                assert response.status_code == 422, (url, response.text)
        assert canary.connections == 0
    with public.db.read() as session:
        assert session.execute(text("SELECT count(*) FROM attempts")).scalar_one() == 0


def test_no_local_team_for_others(idle: Running, public: Running) -> None:
    assert_problem(public.local_team(), 404, "not-found")
    assert_problem(idle.client.post("/api/v1/local/team"), 403, "local-secret")
    assert_problem(idle.local_team(**{HEADER: "0" * 64}), 403, "local-secret")
    assert_problem(idle.local_team(**{"sec-fetch-site": "cross-site"}), 403, "local-secret")
    assert_problem(idle.local_team(**{"sec-fetch-site": "same-site"}), 403, "local-secret")
    assert_problem(idle.client.post("/api/v1/local/team", headers={HEADER.encode(): b"\xff"}), 403, "local-secret")
    for site in ("same-origin", "none"):
        assert idle.local_team(**{"sec-fetch-site": site}).status_code in (200, 201)


def test_without_a_secret_nobody_gets_a_local_team(idle: Running) -> None:
    (idle.settings.dir / "local-secret").unlink()
    for headers in ({}, {HEADER: ""}, {HEADER: "None"}):
        assert_problem(idle.client.post("/api/v1/local/team", headers=headers), 403, "local-secret")


# The second is one that frameworks repair to the address that they listen at.
@pytest.mark.parametrize("headers", [
    {"host": "evil.example"}, {"host": "a`b.evil.test"}, {"host": "localhost.evil.example"}, {"host": ""},
    {"host": "127.0.0.1@evil.example"}, {"host": "10.0.0.1"}, {"x-forwarded-for": "8.8.8.8"},
    {"forwarded": "for=8.8.8.8"},
    {"via": "1.1 proxy"}, {"x-real-ip": "8.8.8.8"}, {"x-forwarded-host": "localhost"},
])  # fmt: skip
def test_a_local_judge_answers_nobody_behind_a_name_or_a_proxy(idle: Running, headers: dict[str, str]) -> None:
    team = idle.team()
    for path in (f"{BASE}/status", "/api/v1/scoreboard", f"/api/v1/attempts/{'0' * 32}", "/scoreboard", "/attempts/1"):
        assert_problem(idle.client.get(path, headers=team | headers), 403, "not-local")
    assert_problem(idle.local_team(**headers), 403, "not-local")


def test_a_public_judge_may_stand_behind_a_proxy(public: Running) -> None:
    headers = {"host": "judge.example", "x-forwarded-for": "8.8.8.8"}
    assert public.client.get(f"{BASE}/status", headers=public.team() | headers).status_code == 200
    assert public.client.get("/scoreboard", headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "127.0.0.2", "[::1]:8000"])
def test_a_local_judge_has_these_names(idle: Running, host: str) -> None:
    assert idle.client.get("/scoreboard", headers={"host": host}).status_code == 200


def test_verify_passes_on_nothing_but_a_mask(judge: Running) -> None:
    secret = f'{{"img": "{CANARY}", "key": "{CANARY}"}}'.encode()
    for make, connects in ((lambda _: answer(secret), True), (lambda _: answer(b"no", f"500 {CANARY}"), True)):
        with Endpoint(sends(make)) as endpoint:
            response = judge.client.post(f"{BASE}/verify", json={"url": endpoint.url}, headers=judge.team())
        found = response.json()
        assert (found["can_connect"], found["can_predict"], found["response"]) == (connects, False, None)
        assert CANARY not in response.text
    response = judge.client.post(f"{BASE}/verify", json={"url": endpoint.url}, headers=judge.team())
    assert response.json()["can_connect"] is False


@pytest.mark.long
def test_nothing_that_teams_send_is_logged_by_the_judge_as_a_service(settings: JudgeSettings, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with judge_process(settings, log) as client:
        secret = {HEADER: make_secret(settings.dir)}
        made = client.post("/api/v1/local/team", json={"name": CANARY}, headers=secret)
        headers = {"x-token": made.json()["token"], "x-request-id": CANARY, "user-agent": CANARY}
        with Endpoint(sends(lambda _: answer(f"{CANARY}\n".encode(), f"500 {CANARY}"))) as endpoint:
            body = {"url": f"{endpoint.url}?{CANARY}"}
            client.post(f"{BASE}/verify", json=body, headers=headers)
            client.post(f"{BASE}/verify", json={"url": CANARY}, headers={"x-token": CANARY})
            queued = client.post(f"{BASE}/validate/queue", json=body, headers=headers).json()
            end = time.monotonic() + 30
            while "attempt_done" not in log.read_text() and time.monotonic() < end:
                time.sleep(0.1)
        client.get(f"{BASE}/validate/queue/{CANARY}?{CANARY}", headers=headers)
        client.post(f"{BASE}/validate/queue", content=f'{{"url": {{"{CANARY}": 1}}', headers=headers)
    lines = log.read_text()
    assert CANARY not in lines
    assert headers["x-token"] not in lines
    assert "/predict" not in lines
    events = [json.loads(line)["event"] for line in lines.splitlines()]
    assert {"judge_ready", "attempt_claimed", "attempt_done", "request"} <= set(events)
    assert queued["queued_attempt_uuid"] in lines
