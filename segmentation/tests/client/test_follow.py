import pytest

from mipseg.client import follow
from mipseg.client.answers import Attempt
from mipseg.client.output import Output, run
from tests.client.conftest import Command
from tests.client.judge import QUEUED, UUID, VALIDATE, VALIDATION, Answer, StandIn, attempt

RUNNING = Answer(attempt("running", None))
LOOK_AGAIN = f"; to look again: uv run check-status {UUID}"
GOES_ON = f"; the attempt goes on, follow it with: uv run check-status {UUID}"


def test_the_pauses_rise_from_one_second_to_five(judge: StandIn, run_validate: Command, pauses: list[float]) -> None:
    judge.will(VALIDATION, *[RUNNING] * 11, Answer(attempt()))
    assert run_validate("--wait").code == 0
    assert pauses[:3] == [1, 1.25, 1.5625]
    assert pauses == sorted(pauses)
    assert pauses[8:] == [5, 5, 5, 5]


def test_a_few_failed_polls_are_survived(judge: StandIn, run_validate: Command) -> None:
    failures = [Answer(b"<html>", 502), Answer(b"<html>"), Answer({"status": 1}), Answer({}, cut=True), Answer({}, 500)]
    judge.will(VALIDATION, *failures, RUNNING, *failures, Answer(attempt()))
    result = run_validate("--wait")
    assert (result.code, result.out.splitlines()[-1]) == (0, f"validation {UUID}: done, mean Dice 0.7123")
    assert "the judge has a problem of its own (502); trying again\n" in result.err
    assert len(judge.requests) == 1 + 12


def test_too_many_are_not(judge: StandIn, run_validate: Command) -> None:
    judge.will(VALIDATION, Answer({}, 503))
    result = run_validate("--wait", "--json")
    assert (result.code, len(judge.requests)) == (2, 1 + 7)
    message = "the judge has a problem of its own (503)" + LOOK_AGAIN
    assert result.object == {"error": "judge-failed", "message": message, "uuid": UUID}
    assert result.err.endswith(f"error: {message}\n")


def test_a_token_that_is_withdrawn_ends_the_wait(judge: StandIn, run_validate: Command) -> None:
    judge.will(VALIDATION, RUNNING, Answer({}, 401))
    result = run_validate("--wait")
    assert (result.code, len(judge.requests)) == (2, 3)
    assert result.err.endswith(f"the judge refuses the token; check EVAL_API_TOKEN (401){LOOK_AGAIN}\n")


def test_a_judge_that_asks_to_wait_longer_gets_it(judge: StandIn, run_validate: Command, pauses: list[float]) -> None:
    busy = [Answer({}, 429, {"Retry-After": seconds}) for seconds in ("20", "3600", "soon")]
    judge.will(VALIDATION, *busy, Answer(attempt()))
    assert run_validate("--wait").code == 0
    assert pauses == [1, 20, 60, 5]


def test_the_place_in_the_queue_is_told_when_it_changes(judge: StandIn, run_validate: Command) -> None:
    places = [Answer({**QUEUED, "position_in_queue": place}) for place in (3, 3, 2, 0)]
    judge.will(VALIDATE, places[0])
    judge.will(VALIDATION, *places, RUNNING, RUNNING, Answer(attempt()))
    assert run_validate("--wait").err.splitlines() == [
        "queued, position 3", "queued, position 2", "queued, position 0", "running", "done",
    ]  # fmt: skip


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        @staticmethod
        def sleep(_: float) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(follow, "time", Clock)


@pytest.mark.usefixtures("stops")
def test_ctrl_c_says_how_to_go_on(run_validate: Command) -> None:
    result = run_validate("--wait")
    assert result.code == 130
    assert result.err.splitlines()[-1] == "stopped" + GOES_ON
    assert run_validate("--wait", "--json").object == {"error": "stopped", "message": "stopped" + GOES_ON, "uuid": UUID}


def test_ctrl_c_before_there_is_an_attempt(capsys: pytest.CaptureFixture[str]) -> None:
    def stop() -> int:
        raise KeyboardInterrupt

    assert run(Output(as_json=False), stop) == 130
    assert capsys.readouterr() == ("", "stopped\n")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the bar believe that stderr is a terminal."""
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "100"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("terminal")
def test_the_bar_counts_the_images(judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[follow.Watch] = []
    show = follow.Watch.show

    def draw(watch: follow.Watch, state: Attempt) -> None:
        show(watch, state)
        watch._bar.refresh()  # else only ten times a second
        drawn.append(watch)

    monkeypatch.setattr(follow.Watch, "show", draw)
    progress = [Answer(attempt("running", None, progress={"done": done, "total": 200})) for done in (0, 37, 200)]
    judge.will(VALIDATION, *progress, Answer({}, 503), RUNNING, Answer(attempt()))
    result = run_validate("--wait", "--json")
    assert (result.code, result.object["score"]) == (0, 0.71234567)
    assert len(drawn) == 6
    for text in ("queued, position 0", "0/200", "37/200", "200/200", "\x1b[", "━"):
        assert text in result.err
