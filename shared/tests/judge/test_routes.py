"""The judge over real HTTP: the protocol's shapes and statuses, and everything that must not leak."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import httpx
import judge_endpoints as endpoints
import pytest
import uvicorn
from judge_endpoints import Endpoint, answer, empty_mask, sends
from judge_running import BASE, Running
from sqlalchemy import text

from mipjudge import database, store
from mipjudge.app import create_app
from mipjudge.database import Database
from mipjudge.scoreboard import points
from mipjudge.sets import build_sets

UUID = re.compile(r"[0-9a-f]{32}")
CANARY = "canary-7f3a91"


@pytest.fixture
def judge(settings):
    with Running(settings) as running:
        yield running


@pytest.fixture
def idle(settings):
    """A judge whose attempts stay in the queue."""
    with Running(settings.model_copy(update={"workers": 0})) as running:
        yield running


@pytest.fixture
def public(settings):
    """A judge that calls public addresses alone and knows no local teams."""
    with Running(settings.model_copy(update={"host": "0.0.0.0", "workers": 0})) as running:
        yield running


def assert_problem(response, status, code):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == code
    assert len(response.content) <= 1024
    assert "Traceback" not in response.text
    assert "site-packages" not in response.text


def test_a_validation_from_the_queue_to_its_score(judge):
    sets = build_sets(judge.settings)
    cases = [sets.validation.load(place)[0] for place in range(20)]
    headers = judge.team()
    with Endpoint(endpoints.perfect(cases)) as endpoint:
        queued = judge.queue(endpoint.url, headers)
        assert queued.status_code == 202
        first = queued.json()
        assert set(first) >= {
            "team_uuid", "usecase_name", "queued_attempt_uuid", "type", "status", "position_in_queue", "enqueued_at",
        }  # fmt: skip
        assert (first["usecase_name"], first["type"]) == ("tumor-segmentation", "validation")
        assert UUID.fullmatch(first["queued_attempt_uuid"])
        assert UUID.fullmatch(first["team_uuid"])
        last = judge.wait(first["queued_attempt_uuid"], headers)
    attempt = last["attempt"]
    assert (last["status"], last["position_in_queue"], last["progress"]) == ("done", 0, {"done": 20, "total": 20})
    assert (attempt["score"], attempt["errors"], attempt["service_url"]) == (1.0, [], endpoint.url)
    times = [datetime.fromisoformat(attempt[name]) for name in ("submitted_at", "started_at", "finished_at")]
    assert times == sorted(times)
    assert all(moment.utcoffset() is not None for moment in times)
    assert attempt["submitted_at"] == last["enqueued_at"]

    own = judge.client.get(f"/api/v1/attempts/{first['queued_attempt_uuid']}", headers=headers).json()
    assert len(own["images"]) == 20
    assert len(own["worst"]) == 5
    figure = f"/api/v1/attempts/{first['queued_attempt_uuid']}/figures"
    picture = judge.client.get(f"{figure}/{own['worst'][0]}", headers=headers)
    assert picture.content.startswith(b"\x89PNG")
    shown = next(n for n in range(20) if n not in own["worst"])
    for path in (f"{figure}/{shown}", f"{figure}/..%2f..%2f0", f"{figure}/999999"):
        assert judge.client.get(path, headers=headers).status_code == 404
    assert judge.client.get(f"{figure}/{own['worst'][0]}", headers=judge.team("other")).status_code == 404


def test_an_evaluation_once_and_not_before_it_opens_and_nothing_of_its_images(judge):
    headers = judge.team()
    with Endpoint(sends(lambda body: answer(empty_mask(body)))) as endpoint:
        assert_problem(judge.queue(endpoint.url, headers, "evaluate"), 403, "evaluation-not-open")
        store.set_evaluation(judge.db, 0)
        queued = judge.queue(endpoint.url, headers, "evaluate")
        assert (queued.status_code, queued.json()["type"]) == (202, "evaluation")
        uuid = queued.json()["queued_attempt_uuid"]
        last = judge.wait(uuid, headers, "evaluate")
    assert_problem(judge.queue(endpoint.url, headers, "evaluate"), 409, "evaluation-used")
    assert (last["status"], last["attempt"]["score"]) == ("done", 0.0)
    own = judge.client.get(f"/api/v1/attempts/{uuid}", headers=headers).json()
    assert "images" not in own
    assert "worst" not in own
    assert judge.client.get(f"/api/v1/attempts/{uuid}/figures/0", headers=headers).status_code == 404
    board = judge.client.get("/api/v1/scoreboard").text
    assert "image" not in board
    assert "position" not in board
    assert judge.client.get(f"{BASE}/status", headers=headers).json()["evaluation"]["used"] is True


def test_v4_one_evaluation_under_32_requests_at_once_and_after_a_restart(settings):
    settings = settings.model_copy(update={"workers": 0})
    url = "http://127.0.0.1:64999/predict"
    with Running(settings) as first, Running(settings) as second, ThreadPoolExecutor(32) as pool:
        store.set_evaluation(first.db, 0)
        for number in range(3):
            headers = first.team(f"team {number}")
            judges = [first, second] * 16
            statuses = [r.status_code for r in pool.map(lambda one, h=headers: one.queue(url, h, "evaluate"), judges)]
            assert sorted(statuses) == [202] + [409] * 31
    with Running(settings) as third:
        assert_problem(third.queue(url, third.team("team 0"), "evaluate"), 409, "evaluation-used")


@pytest.mark.parametrize("method_path", [
    ("GET", f"{BASE}/status"), ("POST", f"{BASE}/verify"), ("POST", f"{BASE}/validate/queue"),
    ("GET", f"{BASE}/validate/queue/{'0' * 32}"), ("POST", f"{BASE}/evaluate/queue"),
    ("GET", f"{BASE}/evaluate/queue/{'0' * 32}"), ("GET", f"/api/v1/attempts/{'0' * 32}"),
    ("GET", f"/api/v1/attempts/{'0' * 32}/figures/0"),
])  # fmt: skip
def test_every_call_needs_a_token(idle, method_path):
    method, path = method_path
    body = {"url": "http://127.0.0.1:64999/"} if method == "POST" else None
    for headers in ({}, {"x-token": "wrong"}, {"x-token": "x" * 5000}):
        assert_problem(idle.client.request(method, path, json=body, headers=headers), 401, "bad-token")


def test_foreign_and_odd_ids_are_unknown(idle):
    uuid = idle.queue("http://127.0.0.1:64999/", idle.team()).json()["queued_attempt_uuid"]
    path = f"{BASE}/validate/queue"
    assert idle.client.get(f"{path}/{uuid}", headers=idle.team()).status_code == 200
    assert_problem(idle.client.get(f"{path}/{uuid}", headers=idle.team("other")), 404, "unknown-attempt")
    assert_problem(idle.client.get(f"{BASE}/evaluate/queue/{uuid}", headers=idle.team()), 404, "unknown-attempt")
    for odd in ("..%2f", "..%2f..%2fetc%2fpasswd", "%252e%252e", "..%5c..%5cx", "a%00b", uuid.upper() + "x", "x" * 999):
        assert idle.client.get(f"{path}/{odd}", headers=idle.team()).status_code == 404


HOSTILE = [
    "http://169.254.169.254/", "http://127.0.0.1:{port}/", "http://[::1]:{port}/", "http://[::ffff:7f00:1]:{port}/",
    "http://2130706433:{port}/", "http://0x7f.1:{port}/", "http://localhost:{port}/", "http://localhost.:{port}/",
    "http://0.0.0.0:{port}/", "http://10.0.0.1/", "http://172.16.0.1/", "http://192.168.0.1/", "http://100.64.0.1/",
    "http://[fd00::1]/", "http://[fe80::1]/", "http://[64:ff9b::7f00:1]:{port}/", "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/", "http://user:pw@8.8.8.8/", "http://8.8.8.8:22/", "http://8.8.8.8@127.0.0.1:{port}/",
    "ftp://8.8.8.8/", "http://", "", "x" * 3000,
]  # fmt: skip


def test_hostile_urls_are_422_and_reach_nobody(public):
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


@pytest.mark.parametrize("body", ["", "[]", "null", '{"url": 1}', '{"url": NaN}', "{", '{"link": "x"}', "[" * 9999])
def test_bad_bodies_are_refused_shortly(idle, body):
    headers = idle.team() | {"content-type": "application/json"}
    response = idle.client.post(f"{BASE}/validate/queue", content=body, headers=headers)
    assert response.status_code in (400, 422)
    assert len(response.content) <= 1024


def test_too_many_validations_are_told_when_to_come_back(idle):
    headers = idle.team()
    for _ in range(5):
        assert idle.queue("http://127.0.0.1:64999/", headers).status_code == 202
    response = idle.queue("http://127.0.0.1:64999/", headers)
    assert_problem(response, 429, "too-many-requests")
    assert int(response.headers["retry-after"]) > 0
    assert idle.queue("http://127.0.0.1:64999/", idle.team("other")).json()["position_in_queue"] == 5


def test_verify_shows_the_prediction(judge):
    with Endpoint(sends(lambda body: answer(empty_mask(body)))) as endpoint:
        response = judge.client.post(f"{BASE}/verify", json={"url": endpoint.url}, headers=judge.team())
    found = response.json()
    assert (response.status_code, found["can_connect"], found["can_predict"]) == (200, True, True)
    assert found["response_status_code"] == 200
    assert found["detail"] == {"message": "Successfully connected and received prediction."}
    assert found["response"]["img"].startswith("iVBOR")
    assert found["sample"].startswith("iVBOR")


def test_verify_passes_on_nothing_but_a_mask(judge):
    secret = f'{{"img": "{CANARY}", "key": "{CANARY}"}}'.encode()
    for make, connects in ((lambda _: answer(secret), True), (lambda _: answer(b"no", f"500 {CANARY}"), True)):
        with Endpoint(sends(make)) as endpoint:
            response = judge.client.post(f"{BASE}/verify", json={"url": endpoint.url}, headers=judge.team())
        found = response.json()
        assert (found["can_connect"], found["can_predict"], found["response"]) == (connects, False, None)
        assert CANARY not in response.text
    response = judge.client.post(f"{BASE}/verify", json={"url": endpoint.url}, headers=judge.team())
    assert response.json()["can_connect"] is False


def test_verify_keeps_a_distance(settings):
    with Running(settings.model_copy(update={"verify_interval_s": 60.0, "deadline_s": 0.2})) as judge:
        codes = [
            judge.client.post(
                f"{BASE}/verify", json={"url": "http://127.0.0.1:64999/"}, headers=judge.team()
            ).status_code
            for _ in range(2)
        ]
    assert codes == [200, 429]


def test_a_local_team_in_one_call(idle):
    made = idle.client.post("/api/v1/local/team")
    again = idle.client.post("/api/v1/local/team")
    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json()["token"] == again.json()["token"]
    assert made.headers["cache-control"] == "no-store"
    assert made.json()["message"] == "local judge, scoring on 20 patients of the data set"
    status = idle.client.get(f"{BASE}/status", headers={"x-token": made.json()["token"]}).json()
    assert status["images"] == {"source": "dataset", "validation": 20, "test": 20}
    verbatim = idle.client.post("/api/v1/local/team", json={"name": "'; DROP TABLE teams; --"})
    assert (verbatim.status_code, verbatim.json()["team"]) == (201, "'; DROP TABLE teams; --")
    for name in ("x" * 10_000, "a\u0007b", "", "a\nb"):
        assert_problem(idle.client.post("/api/v1/local/team", json={"name": name}), 422, "team-name")


def test_no_local_team_for_others(idle, public):
    assert_problem(public.client.post("/api/v1/local/team"), 404, "not-found")
    for headers in ({"host": "evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert_problem(idle.client.post("/api/v1/local/team", headers=headers), 404, "not-found")


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


def test_nothing_that_teams_send_is_logged_by_the_judge_as_a_service(settings, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    database_url = settings.database_url.get_secret_value()
    environment = dict(
        os.environ,
        MIPSEG_JUDGE_DATABASE_URL=database_url,
        MIPSEG_JUDGE_DATA_DIR=str(settings.data_dir),
        MIPSEG_JUDGE_DIR=str(tmp_path),
    )
    command = [sys.executable, "-m", "mipjudge.cli", "--port", str(port)]
    log = tmp_path / "log"
    with log.open("wb") as output:
        service = subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=tmp_path)
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
    try:
        made = _when_up(client, service, CANARY)
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
    finally:
        client.close()
        service.terminate()
        assert service.wait(20) == 0
    lines = log.read_text()
    assert CANARY not in lines
    assert headers["x-token"] not in lines
    assert "/predict" not in lines
    events = [json.loads(line)["event"] for line in lines.splitlines()]
    assert {"judge_ready", "attempt_claimed", "attempt_done", "request"} <= set(events)
    assert queued["queued_attempt_uuid"] in lines


def _when_up(client, service, name):
    end = time.monotonic() + 60
    while time.monotonic() < end and service.poll() is None:
        try:
            return client.post("/api/v1/local/team", json={"name": name})
        except httpx.TransportError:
            time.sleep(0.1)
    return pytest.fail("the judge did not start")


def test_v5_a_locked_database_is_503_and_then_works_again(settings, monkeypatch):
    if not settings.sqlalchemy_url.startswith("sqlite"):
        pytest.skip("the lock of the whole database is SQLite's")
    monkeypatch.setattr("mipjudge.service.Database", lambda url: Database(url, lock_wait_s=0.3))
    with Running(settings.model_copy(update={"workers": 0})) as judge:
        headers = judge.team()
        with judge.db.write() as session:
            session.execute(text("SELECT 1"))  # the lock is taken with the first statement
            response = judge.queue("http://127.0.0.1:64999/", headers)
            assert_problem(response, 503, "database-unavailable")
            assert response.headers["retry-after"]
            assert judge.client.get(f"{BASE}/status", headers=headers).status_code == 200
        assert judge.queue("http://127.0.0.1:64999/", headers).status_code == 202


def test_v5_a_full_disk_is_503_and_the_jobs_stay_queued(settings, monkeypatch):
    if not settings.sqlalchemy_url.startswith("sqlite"):
        pytest.skip("the file is SQLite's")
    url = "http://127.0.0.1:64999/" + "x" * 2000
    queueing = settings.model_copy(update={"workers": 0, "max_waiting": 1000, "validations_per_hour": 1000})
    roomy = Database(settings.sqlalchemy_url)
    token = store.local_team(roomy, "team")[1]
    roomy.close()
    prepare = database._prepare_sqlite

    def prepare_full(connection, record):
        prepare(connection, record)
        connection.execute("PRAGMA max_page_count = 1")  # as large as it is now, and no larger

    with monkeypatch.context() as patch:
        patch.setattr(database, "_prepare_sqlite", prepare_full)
        with Running(queueing) as judge:
            headers = {"x-token": token}
            answers = [judge.queue(url, headers) for _ in range(30)]
            assert {answer.status_code for answer in answers} <= {202, 503}
            assert_problem(answers[-1], 503, "database-unavailable")
    accepted = [answer.json()["queued_attempt_uuid"] for answer in answers if answer.status_code == 202]
    with Running(settings) as judge:
        assert judge.queue(url, judge.team()).status_code == 202
        for uuid in accepted:
            assert judge.wait(uuid, judge.team())["attempt"]["errors"] == ["unreachable: nobody answers at the URL"]


def test_a_judge_that_cannot_start_takes_nothing_else_down(settings, tmp_path):
    (tmp_path / "file").write_text("")
    broken = settings.model_copy(update={"dir": tmp_path / "file", "database_url": type(settings.database_url)("")})
    config = uvicorn.Config(create_app(broken), host="127.0.0.1", port=0, log_config=None, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while thread.is_alive() and not server.started:
        time.sleep(0.01)
    base = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    assert httpx.get(f"{base}/livez").status_code == 200
    assert_problem(httpx.get(f"{base}/api/v1/scoreboard"), 503, "judge-unavailable")
    server.should_exit = True
    thread.join(15)
