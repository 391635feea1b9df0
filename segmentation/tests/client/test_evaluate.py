import io

import pytest

from tests.client.conftest import Command
from tests.client.judge import EVALUATE, EVALUATION, UUID, VERIFIED, VERIFY, Answer, StandIn, attempt


@pytest.mark.parametrize(("answer", "exit_code"), [("yes\n", 0), ("YES \n", 0), ("y\n", 2), ("\n", 2), ("", 2)])
def test_evaluate_asks_first(
    judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch, answer: str, exit_code: int
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    result = run_validate("--evaluate")
    assert result.code == exit_code
    assert "uses up the one evaluation" in result.err
    assert judge.lines == ([VERIFY, EVALUATE] if exit_code == 0 else [VERIFY])
    if exit_code:
        assert "error: not confirmed, so nothing was submitted" in result.err


def test_evaluate_with_yes_asks_nothing(judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    judge.will(EVALUATION, Answer(attempt(type="evaluation")))
    result = run_validate("--evaluate", "--yes", "--wait")
    assert result.code == 0
    assert result.out.splitlines()[-1] == f"evaluation {UUID}: done, mean Dice 0.7123"
    assert judge.lines == [VERIFY, EVALUATE, EVALUATION]


def test_evaluate_is_spared_an_endpoint_that_does_not_predict(judge: StandIn, run_validate: Command) -> None:
    judge.will(VERIFY, Answer(VERIFIED | {"can_connect": False, "can_predict": False}))
    result = run_validate("--evaluate", "--yes")
    assert result.code == 2
    assert "the evaluation was not used" in result.err
    assert judge.lines == [VERIFY]


def test_evaluate_goes_on_where_there_is_no_connection_test(judge: StandIn, run_validate: Command) -> None:
    judge.will(VERIFY)
    result = run_validate("--evaluate", "--yes")
    assert (result.code, judge.lines) == (0, [VERIFY, EVALUATE])


@pytest.mark.parametrize(("status", "detail", "code", "text"), [
    (409, "Already evaluated", "evaluation-used",
     "the evaluation was already used; a team has one (409): Already evaluated"),
    (409, None, "evaluation-used", "the evaluation was already used; a team has one (409)"),
    (409, "You already started the evaluation; it is not open again", "evaluation-used",
     "the evaluation was already used; a team has one (409): You already started the evaluation; it is not open again"),
    (403, "Evaluation is not open yet", "evaluation-not-open",
     "the evaluation is not open; wait until it opens (403): Evaluation is not open yet"),
    (409, {"message": "opens at 14:00"}, "evaluation-not-open",
     "the evaluation is not open; wait until it opens (409): opens at 14:00"),
    (403, None, "evaluation-refused",
     "the judge refuses the evaluation; it is not open yet, or the token is wrong (403)"),
])  # fmt: skip
def test_evaluate_is_refused(
    judge: StandIn, run_validate: Command, status: int, detail: object, code: str, text: str
) -> None:
    judge.will(EVALUATE, Answer({"detail": detail} if detail else {}, status))
    result = run_validate("--evaluate", "--yes")
    assert (result.code, result.out, result.err) == (2, "", f"error: {text}\n")
    assert run_validate("--evaluate", "--yes", "--json").object == {"error": code, "message": text}
