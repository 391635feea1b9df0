import pytest

from tests.client.conftest import SERVICE, Command
from tests.client.judge import (
    CANARY,
    CANCEL_EVALUATION,
    CANCEL_VALIDATION,
    DASHED,
    OTHER_STATUS,
    QUEUED,
    UUID,
    VALIDATE,
    VALIDATION,
    VERIFIED,
    VERIFY,
    Answer,
    StandIn,
    attempt,
)


def test_submits_and_returns_at_once(judge: StandIn, run_validate: Command, pauses: list[float]) -> None:
    result = run_validate()
    assert (result.code, result.err, pauses) == (0, "", [])
    assert result.out == f"validation {UUID}: queued, position 0\nfollow it with: uv run check-status {UUID}\n"
    assert judge.lines == [VALIDATE]
    assert (judge.requests[0].token, judge.requests[0].body) == (CANARY, {"url": SERVICE})


def test_json_of_a_submission(run_validate: Command) -> None:
    result = run_validate("--json")
    assert result.err == ""
    assert result.object == {
        "uuid": UUID, "type": "validation", "status": "queued", "position_in_queue": 0, "progress": None,
        "score": None, "errors": [], "service_url": SERVICE, "enqueued_at": "2025-08-07T20:07:49.083910+00:00",
        "submitted_at": None, "started_at": None, "finished_at": None, "page": None,
    }  # fmt: skip


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_any_2xx_will_do(judge: StandIn, run_validate: Command, status: int) -> None:
    judge.will(VALIDATE, Answer(QUEUED, status))
    assert run_validate().code == 0


def test_a_uuid_with_dashes_is_turned_into_one_without(judge: StandIn, run_validate: Command) -> None:
    judge.will(VALIDATE, Answer({**QUEUED, "queued_attempt_uuid": "8A9E5B3C-0d1f-4e2a-9b7c-6d5e4f3a2b1c"}))
    assert run_validate("--json").object["uuid"] == UUID


def test_wait_follows_until_the_score(judge: StandIn, run_validate: Command) -> None:
    result = run_validate("--wait")
    assert result.code == 0
    assert result.out.splitlines()[-1] == f"validation {UUID}: done, mean Dice 0.7123"
    assert result.err.splitlines() == ["queued, position 0", "running", "done"]
    assert judge.lines == [VALIDATE, VALIDATION, VALIDATION]


def test_wait_with_json_prints_one_object_and_the_uuid_on_stderr(run_validate: Command) -> None:
    result = run_validate("--wait", "--json")
    assert (result.code, result.object["status"], result.object["score"]) == (0, "done", 0.71234567)
    assert result.object["finished_at"] == "2025-08-07T20:13:51.083910+00:00"
    assert f"uv run check-status {UUID}" in result.err


@pytest.mark.parametrize("word", ["failed", "error", "FAILED"])
def test_a_failed_attempt_ends_with_1_and_its_errors(judge: StandIn, run_validate: Command, word: str) -> None:
    content = attempt(word, None)
    content["attempt"]["errors"] = ["image 3: no answer", {"image": 4, "error": "late"}, "c", "d", "e", "f", "g"]
    judge.will(VALIDATION, Answer(content))
    result = run_validate("--wait")
    assert result.code == 1
    assert result.out.splitlines()[2:] == [
        f"validation {UUID}: failed", "  image 3: no answer", '  {"image": 4, "error": "late"}', "  c", "  d", "  e",
        "  and 2 more",
    ]  # fmt: skip
    assert len(run_validate("--wait", "--json").object["errors"]) == 7


def test_the_other_place_and_vocabulary(judge: StandIn, run_validate: Command) -> None:
    judge.will(VALIDATION)
    judge.will(OTHER_STATUS, Answer({"status": "processing"}), Answer({"status": "completed", "score": 0.5}))
    result = run_validate("--wait")
    assert (result.code, result.out.splitlines()[-1]) == (0, f"validation {UUID}: done, mean Dice 0.5000")
    assert judge.lines == [VALIDATE, VALIDATION, OTHER_STATUS, OTHER_STATUS]  # it remembers the place


def test_done_without_a_score(judge: StandIn, run_validate: Command) -> None:
    judge.will(VALIDATION, Answer(attempt("done", None)))
    result = run_validate("--wait")
    assert result.code == 0
    assert result.out.endswith("done, but the judge does not tell the score\n")


def test_verify(judge: StandIn, run_validate: Command) -> None:
    result = run_validate("--verify")
    assert (result.code, result.err) == (0, "")
    message = "Successfully connected and received prediction."
    assert result.out == f"the judge got a prediction from {SERVICE}: {message}\n"
    assert judge.requests[0].body == {"url": SERVICE}
    assert judge.lines == [VERIFY]
    assert run_validate("--verify", "--json").object == {
        "service_url": SERVICE, "can_connect": True, "can_predict": True, "response_status_code": 200,
        "message": message,
    }  # fmt: skip


@pytest.mark.parametrize(("changes", "exit_code", "code", "text"), [
    ({"can_connect": False, "can_predict": False, "response_status_code": None, "detail": {"message": "refused"}},
     2, "endpoint-unreachable", f"error: the judge can't connect to {SERVICE}: refused\n"),
    ({"can_predict": False, "response_status_code": 500, "detail": "oops"},
     1, "endpoint-no-prediction",
     f"error: the judge connects to {SERVICE}, but gets no prediction from it (status 500): oops\n"),
])  # fmt: skip
def test_verify_finds_a_fault(
    judge: StandIn, run_validate: Command, changes: dict[str, object], exit_code: int, code: str, text: str
) -> None:
    judge.will(VERIFY, Answer(VERIFIED | changes))
    result = run_validate("--verify")
    assert (result.code, result.out, result.err) == (exit_code, "", text)
    result = run_validate("--verify", "--json")
    assert (result.code, result.object["error"]) == (exit_code, code)


def test_the_page_of_an_attempt_is_printed_where_the_judge_has_one(judge: StandIn, run_validate: Command) -> None:
    judge.will(VALIDATE, Answer({**QUEUED, "page": f"/attempts/{UUID}"}))
    result = run_validate()
    assert result.out.splitlines()[1:] == [
        f"follow it with: uv run check-status {UUID}",
        f"look at it at: {judge.url}/attempts/{UUID}",
    ]
    assert run_validate("--json").object["page"] == f"{judge.url}/attempts/{UUID}"
    judge.will(VALIDATE, Answer({**QUEUED, "page": "https://elsewhere.example/"}))
    assert "elsewhere" not in run_validate().out


def test_the_address_of_a_local_teams_page_holds_its_token(
    judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVAL_API_TOKEN")
    judge.will(VALIDATE, Answer({**QUEUED, "page": f"/attempts/{UUID}"}))
    assert run_validate().out.splitlines()[-1] == f"look at it at: {judge.url}/attempts/{UUID}#{CANARY}"


def test_cancel(judge: StandIn, run_validate: Command) -> None:
    judge.will(CANCEL_VALIDATION, Answer(attempt("failed", None, errors=[])))
    result = run_validate("--cancel", DASHED)
    assert (result.code, result.out, result.err) == (0, f"validation {UUID}: failed\n", "")
    assert judge.lines == [CANCEL_VALIDATION]


def test_cancel_looks_for_an_evaluation_next(judge: StandIn, run_validate: Command) -> None:
    judge.will(CANCEL_EVALUATION, Answer({**QUEUED, "type": "evaluation", "status": "failed"}))
    assert run_validate("--cancel", UUID).out == f"evaluation {UUID}: failed\n"
    assert judge.lines == [CANCEL_VALIDATION, CANCEL_EVALUATION]


@pytest.mark.parametrize(("arguments", "answer", "code", "text"), [
    (["--cancel", "x"], None, "bad-uuid", "this is not a UUID; `uv run validate` prints the attempt's"),
    (["--cancel", UUID], None, "unknown-attempt", "{url} knows no attempt " + UUID + " of this team (404)"),
    (["--cancel", UUID], Answer({"code": "attempt-over", "detail": "the attempt is over already"}, 409), "attempt-over",
     "the attempt is over; look at its score with `uv run check-status` (409): the attempt is over already"),
])  # fmt: skip
def test_cancel_is_refused(
    judge: StandIn, run_validate: Command, arguments: list[str], answer: Answer | None, code: str, text: str
) -> None:
    if answer:
        judge.will(CANCEL_VALIDATION, answer)
    result = run_validate(*arguments)
    assert (result.code, result.out, result.err) == (2, "", f"error: {text.format(url=judge.url)}\n")
    assert run_validate(*arguments, "--json").object["error"] == code
