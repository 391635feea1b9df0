"""The championship's calls over real HTTP: shapes, statuses and rules."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import judge_endpoints as endpoints
import pytest
from judge_endpoints import Endpoint, answer, empty_mask, sends
from judge_running import BASE, FULL, SIZE, Running, assert_problem

from mipjudge import store
from mipjudge.sets import build_sets
from mipjudge.settings import JudgeSettings
from mipjudge.target import AddressPolicy
from mipseg.http.local_secret import HEADER, make_secret

UUID = re.compile(r"[0-9a-f]{32}")


def test_a_validation_from_the_queue_to_its_score(judge: Running) -> None:
    sets = build_sets(judge.settings)
    cases = [sets.validation.case(place) for place in range(SIZE)]
    headers = judge.team()
    with Endpoint(endpoints.perfect(cases)) as endpoint:
        queued = judge.queue(endpoint.url, headers)
        assert queued.status_code == 200
        first = queued.json()
        assert set(first) >= {
            "team_uuid", "usecase_name", "queued_attempt_uuid", "type", "status", "position_in_queue", "enqueued_at",
        }  # fmt: skip
        assert (first["usecase_name"], first["type"]) == ("tumor-segmentation", "validation")
        assert UUID.fullmatch(first["queued_attempt_uuid"])
        assert UUID.fullmatch(first["team_uuid"])
        last = judge.wait(first["queued_attempt_uuid"], headers)
    attempt = last["attempt"]
    assert (last["status"], last["position_in_queue"], last["progress"]) == ("done", 0, {"done": SIZE, "total": SIZE})
    assert (attempt["score"], attempt["errors"], attempt["service_url"]) == (1.0, [], endpoint.url)
    times = [datetime.fromisoformat(attempt[name]) for name in ("submitted_at", "started_at", "finished_at")]
    assert times == sorted(times)
    assert all(moment.utcoffset() is not None for moment in times)
    assert attempt["submitted_at"] == last["enqueued_at"]

    own = judge.client.get(f"/api/v1/attempts/{first['queued_attempt_uuid']}", headers=headers).json()
    assert len(own["images"]) == SIZE
    assert len(own["worst"]) == 5
    figure = f"/api/v1/attempts/{first['queued_attempt_uuid']}/figures"
    image = judge.client.get(f"{figure}/{own['worst'][0]}", headers=headers)
    assert image.content.startswith(b"\x89PNG")
    shown = next(n for n in range(SIZE) if n not in own["worst"])
    for path in (f"{figure}/{shown}", f"{figure}/..%2f..%2f0", f"{figure}/999999"):
        assert judge.client.get(path, headers=headers).status_code == 404
    assert judge.client.get(f"{figure}/{own['worst'][0]}", headers=judge.team("other")).status_code == 404


def test_an_evaluation_once_and_not_before_it_opens_and_nothing_of_its_images(judge: Running) -> None:
    headers = judge.team()
    with Endpoint(sends(lambda body: answer(empty_mask(body)))) as endpoint:
        assert_problem(judge.queue(endpoint.url, headers, "evaluate"), 403, "evaluation-not-open")
        store.set_evaluation(judge.db, 0)
        queued = judge.queue(endpoint.url, headers, "evaluate")
        assert (queued.status_code, queued.json()["type"]) == (200, "evaluation")
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


def test_the_errors_of_a_validation_name_images_and_those_of_an_evaluation_do_not(judge: Running) -> None:
    headers, calls = judge.team(), iter(range(10_000))
    store.set_evaluation(judge.db, 0)
    with Endpoint(sends(lambda body: answer(b"{}" if next(calls) % SIZE == 2 else empty_mask(body)))) as endpoint:
        errors = []
        for kind in ("validate", "evaluate"):
            uuid = judge.queue(endpoint.url, headers, kind).json()["queued_attempt_uuid"]
            errors.append(judge.wait(uuid, headers, kind)["attempt"]["errors"])
    assert errors == [['image 3: no-img: the reply must be a JSON object with "img"'], ["no-img: 1 image"]]


@pytest.mark.long
def test_v4_one_evaluation_under_32_requests_at_once_and_after_a_restart(settings: JudgeSettings) -> None:
    settings = settings.model_copy(update={"workers": 0})
    url = "http://127.0.0.1:64999/predict"
    with Running(settings) as first, Running(settings) as second, ThreadPoolExecutor(32) as pool:
        store.set_evaluation(first.db, 0)
        for number in range(50 if FULL else 3):
            headers = first.team(f"team {number}")
            judges = [first, second] * 16
            statuses = [r.status_code for r in pool.map(lambda one, h=headers: one.queue(url, h, "evaluate"), judges)]
            assert sorted(statuses) == [200] + [409] * 31
    with Running(settings) as third:
        assert_problem(third.queue(url, third.team("team 0"), "evaluate"), 409, "evaluation-used")


@pytest.mark.parametrize(
    "body",
    [
        '{"url": "' + "x" * 70_000 + '"}',
        "",
        "[]",
        "null",
        '{"url": 1}',
        '{"url": NaN}',
        "{",
        '{"link": "x"}',
        "[" * 9999,
    ],
)
def test_bad_bodies_are_refused_shortly(idle: Running, body: str) -> None:
    headers = idle.team() | {"content-type": "application/json"}
    response = idle.client.post(f"{BASE}/validate/queue", content=body, headers=headers)
    assert response.status_code in ((413,) if len(body) > 64_000 and body[0] == "{" else (400, 422))
    assert len(response.content) <= 1024


def test_too_many_validations_are_told_when_to_come_back(idle: Running) -> None:
    headers = idle.team()
    for _ in range(5):
        assert idle.queue("http://127.0.0.1:64999/", headers).status_code == 200
    response = idle.queue("http://127.0.0.1:64999/", headers)
    assert_problem(response, 429, "too-many-requests")
    assert int(response.headers["retry-after"]) > 0
    assert idle.queue("http://127.0.0.1:64999/", idle.team("other")).json()["position_in_queue"] == 1


def test_a_name_is_looked_up_after_the_rate_limit(settings: JudgeSettings) -> None:
    asked: list[str] = []

    def resolver(host: str, _: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if host == "good.example" else []

    policy = AddressPolicy(settings.allowed_networks, resolver)
    changes = {"workers": 0, "max_waiting": 2, "validations_per_hour": 4, "verify_interval_s": 60.0}
    with Running(settings.model_copy(update=changes), policy) as judge:
        headers = judge.team()
        for _ in range(2):
            assert judge.queue("http://good.example:64999/", headers).status_code == 200
        assert asked == ["good.example"] * 2
        assert_problem(judge.queue("http://good.example:64999/", headers), 429, "too-many-requests")
        assert_problem(judge.queue("http://bad.example:64999/", headers, "evaluate"), 403, "evaluation-not-open")
        assert_problem(judge.queue("http://bad.example:64999/", {"x-token": "x"}), 401, "bad-token")
        assert asked == ["good.example"] * 2
        other = judge.team("other")
        for _ in range(4):
            assert_problem(judge.queue("http://bad.example:64999/", other), 422, "unresolvable")
        response = judge.queue("http://bad.example:64999/", other)
        assert_problem(response, 429, "too-many-requests")
        assert 3590 <= int(response.headers["retry-after"]) <= 3601
        assert len(asked) == 6
        assert judge.client.post(f"{BASE}/verify", json={"url": "http://1/"}, headers=headers).status_code == 422
        url = {"url": "http://good.example:64999/"}
        assert_problem(judge.client.post(f"{BASE}/verify", json=url, headers=headers), 429, "too-many-requests")
        assert asked[6:] == ["1"]


def test_every_answer_has_a_request_id(idle: Running) -> None:
    for headers, kept in (({"x-request-id": "a" * 32}, True), ({"x-request-id": "canary"}, False), ({}, False)):
        answers = [idle.client.get(path, headers=headers) for path in ("/livez", "/nothing", f"{BASE}/status")]
        for found in answers:
            request_id = found.headers["x-request-id"]
            assert re.fullmatch("[0-9a-f]{32}", request_id)
            assert (request_id == "a" * 32) is kept
        assert [found.json()["request_id"] for found in answers[1:]] == [a.headers["x-request-id"] for a in answers[1:]]


def test_verify_shows_the_prediction(judge: Running) -> None:
    with Endpoint(sends(lambda body: answer(empty_mask(body)))) as endpoint:
        response = judge.client.post(f"{BASE}/verify", json={"url": endpoint.url}, headers=judge.team())
    found = response.json()
    assert (response.status_code, found["can_connect"], found["can_predict"]) == (200, True, True)
    assert found["response_status_code"] == 200
    assert found["detail"] == {"message": "Successfully connected and received prediction."}
    assert found["response"]["img"].startswith("iVBOR")
    assert found["sample"].startswith("iVBOR")


def test_verify_keeps_a_distance(settings: JudgeSettings) -> None:
    with Running(settings.model_copy(update={"verify_interval_s": 60.0, "deadline_s": 0.2})) as judge:
        codes = [
            judge.client.post(
                f"{BASE}/verify", json={"url": "http://127.0.0.1:64999/"}, headers=judge.team()
            ).status_code
            for _ in range(2)
        ]
    assert codes == [200, 429]


def test_a_local_team_in_one_call(idle: Running) -> None:
    made, again = idle.local_team(), idle.local_team()
    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json()["token"] == again.json()["token"]
    assert made.headers["cache-control"] == "no-store"
    assert made.json()["message"] == f"local judge, scoring on {SIZE} patients of the data set"
    status = idle.client.get(f"{BASE}/status", headers={"x-token": made.json()["token"]}).json()
    assert status["images"] == {"source": "dataset", "validation": SIZE, "test": SIZE}
    headers = {HEADER: make_secret(idle.settings.dir)}
    verbatim = idle.client.post("/api/v1/local/team", json={"name": "'; DROP TABLE teams; --"}, headers=headers)
    assert (verbatim.status_code, verbatim.json()["team"]) == (201, "'; DROP TABLE teams; --")
    for name in ("x" * 10_000, "a\u0007b", "", "a\nb"):
        refused = idle.client.post("/api/v1/local/team", json={"name": name}, headers=headers)
        assert_problem(refused, 422, "team-name")
