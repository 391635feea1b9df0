"""What an endpoint says of itself is noted before the first and after the last image; a change is named."""

import asyncio
import json

import pytest
from judge_attempts import claimed, judge_all, submit
from judge_endpoints import Endpoint, answer, empty_mask, sends
from judge_running import BASE, Running
from sqlalchemy import text

from mipjudge import attempt_queue
from mipjudge.answers import endpoint_of, run_answer
from mipjudge.attempt_queue import Images
from mipjudge.database import Database
from mipjudge.models import Attempt
from mipjudge.sender import Sender
from mipjudge.settings import JudgeSettings
from mipjudge.target import AddressPolicy

EMPTY = sends(lambda body: answer(empty_mask(body)))
CHANGED = "endpoint-changed: the endpoint's model changed while it was judged"


def said(**content: object) -> bytes:
    return json.dumps(content).encode()


@pytest.mark.parametrize(("about", "start", "end", "changed"), [
    ([], None, None, False),
    ([said(model="a", uptime_s=1), said(model="a", uptime_s=9)], {"model": "a"}, {"model": "a"}, False),
    ([said(predict={"sha256": "1"}), said(predict={"sha256": "2"})],
     {"predict": {"sha256": "1"}}, {"predict": {"sha256": "2"}}, True),
    ([said(model=None), said(model="a")], {"model": None}, {"model": "a"}, False),
    ([b"<html>", said(model="a")], None, {"model": "a"}, False),
    ([b"[1]", said(model="a" * 5000)], None, None, False),
    ([said(predict={"name": "f"}, private="x"), said(weights="b")], {"predict": {"name": "f"}}, None, False),
])  # fmt: skip
def test_both_are_noted(
    db: Database, settings: JudgeSettings, about: list[bytes], start: object, end: object, changed: bool
) -> None:
    settings = settings.model_copy(update={"set_size": 2})
    with Endpoint(EMPTY, *about) as endpoint:
        attempt, results = judge_all(db, settings, endpoint.url)
    assert attempt.status == "done"
    assert endpoint_of(attempt) == {"start": start, "end": end, "changed": changed}
    assert run_answer(attempt, results)["errors"] == ([CHANGED] if changed else [])


@pytest.mark.hazard("H2")
@pytest.mark.parametrize("content", [
    rb'{"model": "\ud800"}', rb'{"model": {"\udfff": 1}}', b'{"model": NaN}', b'{"version": -Infinity}',
    b'{"version": 1e999}', b'{"model": ' + b"[" * 900 + b"]" * 900 + b"}", b'{"model": {"name": {"name": "a"}}}',
    b'{"model": "\xff", "version": NaN}', b'{"model": "' + b"a" * 201 + b'"}', b'{"model": ' + b"9" * 4400 + b"}", b"",
])  # fmt: skip
def test_what_could_not_be_shown_again_is_not_kept(idle: Running, content: bytes) -> None:
    headers = idle.team()
    uuid = idle.queue("http://127.0.0.1:64999/", headers).json()["queued_attempt_uuid"]
    claim = claimed(idle.db)
    with Endpoint(EMPTY, content) as endpoint:
        text = asyncio.run(ask(endpoint.url, idle.settings))
    assert text is None
    # Nor is it shown where an earlier version of the judge has kept it.
    attempt_queue.note_api(idle.db, claim, at_start=True, text=content.decode("utf-8", "replace"))
    answers = [idle.client.get(path, headers=headers) for path in (
        f"{BASE}/validate/queue/{uuid}", f"{BASE}/validate/queue/{uuid}/attempt", f"/api/v1/attempts/{uuid}",
        f"/api/v1/validation/{uuid}",
    )]  # fmt: skip
    assert [one.status_code for one in answers] == [200] * 4
    assert answers[1].json()["endpoint"] == {"start": None, "end": None, "changed": False}


async def ask(url: str, settings: JudgeSettings) -> str | None:
    async with Sender(AddressPolicy(settings.allowed_networks), settings) as sender:
        return await sender.about(url)


def test_an_endpoint_that_hangs_up_there_is_judged_all_the_same(db: Database, settings: JudgeSettings) -> None:
    settings = settings.model_copy(update={"set_size": 1, "deadline_s": 0.3})

    class Mute(Endpoint):
        def _say(self) -> bytes:
            return b""  # closes without an answer

    with Mute(EMPTY) as endpoint:
        attempt, _ = judge_all(db, settings, endpoint.url)
    assert (attempt.status, attempt.api_start, attempt.api_end) == ("done", None, None)


def test_what_was_said_at_the_first_start_stays(db: Database) -> None:
    submit(db, "http://127.0.0.1:64999/")
    for number in range(2):
        claim = attempt_queue.claim_next(db, "w", 30)
        assert claim is not None
        attempt_queue.begin(db, claim, Images("set", 1))
        attempt_queue.note_api(db, claim, at_start=True, text=f'{{"model": {number}}}')
        attempt_queue.release(db, claim)
    with db.read() as session:
        assert session.query(Attempt).one().api_start == '{"model": 0}'


def test_it_is_shown_to_the_team(judge: Running) -> None:
    headers = judge.team()
    with Endpoint(EMPTY, said(model="a"), said(model="b")) as endpoint:
        uuid = judge.queue(endpoint.url, headers).json()["queued_attempt_uuid"]
        found = judge.wait(uuid, headers)["attempt"]
    assert found["endpoint"] == {"start": {"model": "a"}, "end": {"model": "b"}, "changed": True}
    assert found["errors"][-1] == CHANGED
    with judge.db.read() as session:
        assert session.execute(text("SELECT count(*) FROM attempts WHERE api_end IS NOT NULL")).scalar_one() == 1
