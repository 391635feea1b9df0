"""A small client for each public dialect of the protocol, against a real judge."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import httpx
import judge_endpoints as endpoints
import pytest
from judge_attempts import cases_of
from judge_endpoints import Endpoint, answer, empty_mask, sends
from judge_running import BASE, SIZE, Running

from mipjudge import store
from mipjudge.sets import build_sets
from mipjudge.settings import JudgeSettings

pytestmark = [pytest.mark.interop, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]
Call = tuple[httpx.Client, dict[str, str]]


@pytest.fixture
def service(settings: JudgeSettings) -> Iterator[Endpoint]:
    """A perfect endpoint; the connection test's image, which is in no set, gets an empty mask."""
    sets = build_sets(settings)
    cases = cases_of(sets.validation) + cases_of(sets.test)
    known, perfect = {case.image.tobytes() for case in cases}, endpoints.perfect(cases)
    empty = sends(lambda body: answer(empty_mask(body)))

    def handle(endpoint: Endpoint, connection: Any, body: bytes) -> None:
        (perfect if endpoints.image_key(body) in known else empty)(endpoint, connection, body)

    with Endpoint(handle) as endpoint:
        yield endpoint


@pytest.fixture
def call(judge: Running) -> Call:
    store.set_evaluation(judge.db, 0)
    return judge.client, judge.team()


def until(done: Any, seconds: float = 20) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (found := done()) is not None:
            return found
        time.sleep(0.02)
    return pytest.fail("waited too long")


@pytest.mark.parametrize("kind", ["validate", "evaluate"])
def test_a_client_that_takes_anything_but_200_for_a_failure(call: Call, service: Endpoint, kind: str) -> None:
    client, headers = call
    posted = client.post(f"{BASE}/{kind}/queue", json={"url": service.url}, headers=headers)
    if posted.status_code != 200:
        pytest.fail(f"submission failed: {posted.status_code}")
    uuid = posted.json()["queued_attempt_uuid"]

    def finished() -> dict[str, Any] | None:
        state: dict[str, Any] = client.get(f"{BASE}/{kind}/queue/{uuid}", headers=headers).json()
        assert state["status"] in ("queued", "running", "done")
        return state if state["status"] == "done" else None

    assert until(finished)["attempt"]["score"] == 1.0


def test_a_client_that_polls_the_attempt_alone(call: Call, service: Endpoint) -> None:
    client, headers = call
    uuid = client.post(f"{BASE}/validate/queue", json={"url": service.url}, headers=headers).json()[
        "queued_attempt_uuid"
    ]

    def finished() -> dict[str, Any] | None:
        response = client.get(f"{BASE}/validate/queue/{uuid}/attempt", headers=headers)
        assert response.status_code == 200
        found: dict[str, Any] = response.json()
        return found if found["finished_at"] else None

    found = until(finished)
    assert found.keys() >= {"submitted_at", "started_at", "finished_at", "service_url", "score", "errors"}
    assert (found["score"], found["errors"], found["service_url"], found["status"]) == (1.0, [], service.url, "done")
    for other in ("evaluate", "nothing"):
        assert client.get(f"{BASE}/{other}/queue/{uuid}/attempt", headers=headers).status_code == 404


def test_a_client_that_waits_for_status_to_list_the_attempt(call: Call, service: Endpoint) -> None:
    client, headers = call
    before = client.get(f"{BASE}/status", headers=headers).json()
    assert (before["validations"], before["n_validations"], before["evaluations"]) == ([], 0, [])
    for kind in ("validate", "validate", "evaluate"):
        client.post(f"{BASE}/{kind}/queue", json={"url": service.url}, headers=headers)

    def finished() -> dict[str, Any] | None:
        state: dict[str, Any] = client.get(f"{BASE}/status", headers=headers).json()
        attempts = state["validations"] + state["evaluations"]
        return state if all(attempt["status"] == "done" for attempt in attempts) else None

    state = until(finished)
    assert state["n_validations"] == len(state["validations"]) == 2
    assert [attempt["score"] for attempt in state["validations"] + state["evaluations"]] == [1.0] * 3
    assert state["validations"][0]["submitted_at"] > state["validations"][1]["submitted_at"]
    assert state["validations"][0].keys() == {
        "queued_attempt_uuid", "type", "status", "score", "submitted_at", "started_at", "finished_at", "service_url",
    }  # fmt: skip


def test_a_client_with_the_other_vocabulary(call: Call, service: Endpoint) -> None:
    client, headers = call
    words = set()
    with Endpoint(endpoints.hang) as gone:
        pass
    for url, word, score in ((service.url, "completed", 1.0), (gone.url, "error", None)):
        uuid = client.post(f"{BASE}/validate/queue", json={"url": url}, headers=headers).json()["queued_attempt_uuid"]

        def finished(uuid: str = uuid) -> dict[str, Any] | None:
            found: dict[str, Any] = client.get(f"/api/v1/validation/{uuid}", headers=headers).json()
            words.add(found["status"])
            return found if found["status"] in ("completed", "error") else None

        found = until(finished)
        assert (found["id"], found["status"], found["score"]) == (uuid, word, score)
        assert found["error"] == (None if score else "unreachable: nobody answers at the URL")
    assert words <= {"queued", "running", "completed", "error"}
    assert client.get(f"/api/v1/validation/{'0' * 32}", headers=headers).status_code == 404


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.parametrize("header", [[], ["-H", "Content-Type:"], ["-H", "Content-Type: text/plain"]])
def test_the_portals_example_which_calls_json_a_form(call: Call, service: Endpoint, header: list[str]) -> None:
    client, headers = call
    url = str(client.base_url.join(f"{BASE}/validate/queue"))
    command = ["curl", "--silent", "--fail", url, "-H", f"x-token: {headers['x-token']}", *header]
    done = subprocess.run([*command, "-d", json.dumps({"url": service.url})], capture_output=True, check=True)
    assert json.loads(done.stdout)["status"] == "queued"


@pytest.mark.parametrize(
    "form", ["http://0.0.0.0:{port}/predict", "http://0.0.0.0:{port}/predict/", "http://[::ffff:7f00:1]:{port}/predict"]
)
def test_addresses_as_teams_give_them(call: Call, service: Endpoint, form: str) -> None:
    client, headers = call
    body = {"url": form.format(port=service.port)}
    found = client.post(f"{BASE}/verify", json=body, headers=headers).json()
    assert (found["can_connect"], found["can_predict"]) == (True, True), found
    assert client.post(f"{BASE}/validate/queue", json=body, headers=headers).status_code == 200


def test_a_client_that_compares_the_sample_with_what_its_endpoint_got(call: Call, service: Endpoint) -> None:
    client, headers = call
    found = client.post(f"{BASE}/verify", json={"url": service.url}, headers=headers).json()
    (sent,) = service.bodies
    assert json.loads(sent) == {"img": found["sample"]}


def test_a_client_that_wants_no_more_than_three_channels(call: Call, service: Endpoint) -> None:
    client, headers = call
    uuid = client.post(f"{BASE}/validate/queue", json={"url": service.url}, headers=headers).json()[
        "queued_attempt_uuid"
    ]
    until(lambda: client.get(f"{BASE}/validate/queue/{uuid}/attempt", headers=headers).json()["finished_at"])
    kinds = {endpoints.file_of(body)[24:26] for body in service.bodies}
    assert (kinds, len(service.bodies)) == ({b"\x08\x02"}, SIZE)
