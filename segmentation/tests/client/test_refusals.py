import pytest

from tests.client.conftest import Command
from tests.client.judge import CANARY, QUEUED, UUID, VALIDATE, VALIDATION, VERIFY, Answer, StandIn, attempt


@pytest.mark.parametrize(("answer", "code", "text"), [
    (Answer({"detail": "Invalid"}, 401), "bad-token",
     "the judge refuses the token; check EVAL_API_TOKEN (401): Invalid"),
    (Answer({}, 403), "bad-token", "the judge refuses the token; check EVAL_API_TOKEN (403)"),
    (Answer({"detail": f"token {CANARY} is bad"}, 401), "bad-token",
     "the judge refuses the token; check EVAL_API_TOKEN (401): token [token] is bad"),
    (Answer({"detail": "Not Found"}, 404), "no-judge",
     "no judge for tumor-segmentation is at {url}; check EVAL_API_URL (404): Not Found"),
    (Answer({"code": "not-found", "detail": "there is no such page"}, 404), "no-judge",
     "no judge for tumor-segmentation is at {url}; check EVAL_API_URL (404): there is no such page"),
    (Answer({"code": "url-port", "detail": "22 will not do"}, 422), "url-port",
     "the URL's port belongs to another service; use 80, 443, or 1024 and above (422): 22 will not do"),
    (Answer({"code": "database-unavailable"}, 503, {"Retry-After": "5"}), "database-unavailable",
     "the judge's database is busy or away; try again in 5 s (503)"),
    (Answer({"title": "Conflict", "detail": "one at a time"}, 409), "attempt-under-way",
     "an attempt of this team is already under way; wait until it has ended (409): one at a time"),
    (Answer({"detail": [{"loc": ["body", "url"], "msg": "private address"}]}, 422), "bad-request",
     "the judge refuses the request; check TUMOR_SEGMENTATION_SERVICE_URL (422): private address"),
    (Answer({}, 429, {"Retry-After": "7"}), "too-many-requests",
     "the judge asks for fewer requests; try again in 7 s (429)"),
    (Answer(b"<html>Bad gateway</html>", 502), "judge-failed", "the judge has a problem of its own (502)"),
    (Answer({"error": "I'm a\x1b[31m teapot\n" + "x" * 400}, 418), "refused",
     "the judge refuses the request; see what it says (418): I'm a [31m teapot " + "x" * 281 + "…"),
])  # fmt: skip
def test_refusals(judge: StandIn, run_validate: Command, answer: Answer, code: str, text: str) -> None:
    judge.will(VALIDATE, answer)
    result = run_validate()
    assert (result.code, result.out, result.err) == (2, "", f"error: {text.format(url=judge.url)}\n")
    result = run_validate("--json")
    assert (result.code, result.object["error"]) == (2, code)


@pytest.mark.parametrize(("content", "text"), [
    (b"<html>Welcome</html>", "the judge's answer: not JSON in UTF-8; is EVAL_API_URL the judge's address?"),
    (b"", "the judge's answer: not JSON in UTF-8; is EVAL_API_URL the judge's address?"),
    (b"[" + b"{}," * 50_000 + b"0]",
     "the judge's answer: the JSON has more than 100000 parts; is EVAL_API_URL the judge's address?"),
    (b"[" * 100_000, "the judge's answer: not JSON in UTF-8; is EVAL_API_URL the judge's address?"),
    ([QUEUED], "the judge's answer has an unexpected form: it is not a JSON object"),
    ({}, "the judge's answer has an unexpected form: `queued_attempt_uuid` is not a UUID"),
    ({**QUEUED, "queued_attempt_uuid": "../../x"},
     "the judge's answer has an unexpected form: `queued_attempt_uuid` is not a UUID"),
    ({**QUEUED, "status": "sleeping"},
     "the judge's answer has an unexpected form: `status` is 'sleeping', not one of queued, running, done, failed"),
])  # fmt: skip
def test_answers_of_another_shape(judge: StandIn, run_validate: Command, content: object, text: str) -> None:
    judge.will(VALIDATE, Answer(content))
    result = run_validate()
    assert (result.code, result.out, result.err) == (2, "", f"error: {text}\n")
    assert run_validate("--json").object["error"] == "bad-answer"


@pytest.mark.parametrize("content", [{}, {"can_connect": "yes"}, {"can_connect": True, "can_predict": 1}])
def test_a_connection_test_of_another_shape(judge: StandIn, run_validate: Command, content: object) -> None:
    judge.will(VERIFY, Answer(content))
    assert "`can_connect` and `can_predict` must be true or false" in run_validate("--verify").err


@pytest.mark.parametrize("score", [True, "0.7", float("nan"), [1], 10**400])
def test_a_score_that_is_not_a_number(judge: StandIn, run_validate: Command, score: object) -> None:
    judge.will(VALIDATION, Answer(attempt(score=score)))  # type: ignore[arg-type]
    result = run_validate("--wait", "--json")
    assert (result.code, result.object["error"], result.object["uuid"]) == (2, "bad-answer", UUID)


@pytest.mark.parametrize("arguments", [
    ["--verify", "--wait"], ["--verify", "--evaluate"], ["--cancel"], ["--cancel", "x", "--wait"],
    ["--cancel", "x", "--evaluate"], ["--yes"], ["--unknown"], ["argument"],
])  # fmt: skip
def test_wrong_use(judge: StandIn, run_validate: Command, arguments: list[str]) -> None:
    result = run_validate(*arguments)
    assert (result.code, result.out, judge.lines) == (2, "", [])
    assert result.err.startswith("usage: validate")


def test_an_unforeseen_error_gets_a_line_too(
    judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyError(CANARY)

    monkeypatch.setattr("mipseg.client.api.JudgeClient.submit", fail)
    result = run_validate("--json")
    assert (result.code, result.err) == (2, "error: unexpected KeyError; please report it\n")
    assert result.object["error"] == "internal"
