import pytest

from tests.client.conftest import Command
from tests.client.judge import (
    DASHED,
    EVALUATION,
    OTHER_STATUS,
    QUEUED,
    UUID,
    VALIDATION,
    Answer,
    StandIn,
    attempt,
)


@pytest.mark.parametrize("uuid", [UUID, DASHED, UUID.upper(), f" {DASHED} "])
def test_done(judge: StandIn, run_check: Command, uuid: str) -> None:
    judge.will(VALIDATION, Answer(attempt()))
    result = run_check(uuid)
    assert (result.code, result.err) == (0, "")
    assert result.out == f"validation {UUID}: done, mean Dice 0.7123\n"
    assert judge.lines == [VALIDATION]


@pytest.mark.parametrize(("content", "text", "exit_code"), [
    ({**QUEUED, "position_in_queue": 3}, "queued, position 3", 0),
    ({**QUEUED, "position_in_queue": None}, "queued", 0),
    ({"status": "queued"}, "queued", 0),
    (attempt("running", None), "running", 0),
    (attempt("running", None, progress={"done": 37, "total": 200}), "running, 37 of 200 images", 0),
    (attempt("running", None, progress={"done": 201, "total": 200}), "running", 0),
    (attempt("running", None, progress=[37, 200]), "running", 0),
    (attempt("completed", 1), "done, mean Dice 1.0000", 0),
    (attempt("done", 0), "done, mean Dice 0.0000", 0),
    (attempt("error", None, attempt=None), "failed", 1),
    ({"status": "error", "error": "no answer"}, "failed\n  no answer", 1),
    (attempt("cancelled", None), "failed", 1),
    (attempt("pending", None), "queued, position 0", 0),
])  # fmt: skip
def test_where_it_stands(judge: StandIn, run_check: Command, content: object, text: str, exit_code: int) -> None:
    judge.will(VALIDATION, Answer(content))
    result = run_check(UUID)
    assert (result.code, result.out) == (exit_code, f"validation {UUID}: {text}\n")


def test_json(judge: StandIn, run_check: Command) -> None:
    judge.will(VALIDATION, Answer(attempt("running", None, progress={"done": 37, "total": 200})))
    assert run_check("--json", UUID).object == {
        "uuid": UUID, "type": "validation", "status": "running", "position_in_queue": 0, "progress": [37, 200],
        "score": None, "errors": [], "service_url": "https://team.example/predict",
        "enqueued_at": "2025-08-07T20:07:49.083910+00:00", "submitted_at": "2025-08-07T20:07:49.083910+00:00",
        "started_at": "2025-08-07T20:07:51.083910+00:00", "finished_at": "2025-08-07T20:13:51.083910+00:00",
        "page": None,
    }  # fmt: skip


def test_looks_in_the_evaluation_queue_next(judge: StandIn, run_check: Command) -> None:
    judge.will(VALIDATION)
    judge.will(EVALUATION, Answer({"status": "done", "score": 0.25}))
    result = run_check(DASHED)
    assert (result.code, result.out) == (0, f"evaluation {UUID}: done, mean Dice 0.2500\n")
    assert judge.lines == [VALIDATION, EVALUATION]


def test_looks_where_other_clients_look_at_last(judge: StandIn, run_check: Command) -> None:
    judge.will(VALIDATION)
    judge.will(OTHER_STATUS, Answer({"status": "completed", "score": 0.5}))
    assert run_check(UUID).out == f"validation {UUID}: done, mean Dice 0.5000\n"
    assert judge.lines == [VALIDATION, EVALUATION, OTHER_STATUS]


def test_nobody_knows_it(judge: StandIn, run_check: Command) -> None:
    judge.will(VALIDATION)
    result = run_check(UUID)
    text = f"{judge.url} knows no attempt {UUID} of this team (404)"
    assert (result.code, result.out, result.err) == (2, "", f"error: {text}\n")
    assert run_check(UUID, "--json").object == {"error": "unknown-attempt", "message": text}


def test_a_wrong_token_ends_the_search(judge: StandIn, run_check: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVAL_API_TOKEN", "another-token")
    result = run_check(UUID)
    assert (result.code, judge.lines) == (2, [VALIDATION])
    assert result.err == "error: the judge refuses the token; check EVAL_API_TOKEN (401): Invalid token\n"


@pytest.mark.parametrize("uuid", ["", "x", UUID[:-1], UUID + "0", "g" * 32, "../" * 10 + "ab", "٣" * 32])
def test_not_a_uuid(judge: StandIn, run_check: Command, uuid: str) -> None:
    result = run_check(uuid)
    text = "this is not a UUID; `uv run validate` prints the attempt's"
    assert (result.code, result.out, result.err, judge.lines) == (2, "", f"error: {text}\n", [])
    assert run_check(uuid, "--json").object == {"error": "bad-uuid", "message": text}


def test_no_argument(run_check: Command) -> None:
    result = run_check()
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("usage: check-status")


def test_wait_takes_up_where_validate_was_stopped(judge: StandIn, run_check: Command, pauses: list[float]) -> None:
    judge.will(VALIDATION, *[Answer(attempt("running", None))] * 2, Answer(attempt()))
    result = run_check(UUID, "--wait")
    assert (result.code, result.out) == (0, f"validation {UUID}: done, mean Dice 0.7123\n")
    assert (result.err.splitlines(), len(pauses)) == (["running", "done"], 2)


def test_what_the_judge_says_can_not_steer_the_terminal(judge: StandIn, run_check: Command) -> None:
    content = attempt("failed", None)
    content["attempt"]["errors"] = ["\x1b]0;title\x07 \u202etxt\r\n[bold]x[/bold] \ud800"]
    judge.will(VALIDATION, Answer(content))
    assert run_check(UUID).out.splitlines()[1] == "  ]0;title txt [bold]x[/bold]"


def test_a_terminal_with_few_letters(
    judge: StandIn, run_check: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    judge.will(VALIDATION, Answer(attempt("failed", None, error="größer")))
    monkeypatch.setattr(type(__import__("sys").stdout), "encoding", "ascii", raising=False)
    assert run_check(UUID).out.splitlines()[1] == r"  gr\xf6\xdfer"
