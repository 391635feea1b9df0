from pathlib import Path
from types import SimpleNamespace

import pytest

from mipseg.http import addresses
from mipseg.http.local_secret import make_secret
from tests.client.conftest import Command
from tests.client.judge import CANARY, LOCAL_TEAM, VALIDATE, VALIDATION, Answer, Request, StandIn


@pytest.mark.parametrize("given", [None, "", "  "])
def test_without_a_token_a_local_judge_makes_a_team(
    judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    if given is None:
        monkeypatch.delenv("EVAL_API_TOKEN")
    else:
        monkeypatch.setenv("EVAL_API_TOKEN", given)
    judge.will(LOCAL_TEAM, Answer({"token": CANARY, "message": f"200 phantoms {CANARY}"}, 201))
    result = run_validate("--wait")
    assert result.code == 0
    assert result.err.startswith("200 phantoms [token]\n")
    assert judge.lines == [LOCAL_TEAM, VALIDATE, VALIDATION, VALIDATION]
    assert (judge.requests[0].token, judge.requests[0].body) == (None, None)
    assert {request.token for request in judge.requests[1:]} == {CANARY}


@pytest.mark.parametrize("status", [403, 404])
def test_a_local_judge_may_refuse_that(
    judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.delenv("EVAL_API_TOKEN")
    judge.will(LOCAL_TEAM, Answer({"detail": "no"}, status))
    result = run_validate()
    assert result.code == 2
    assert result.err == f"error: {judge.url} gives out no token for a local team ({status}); set EVAL_API_TOKEN\n"


def test_a_local_judge_that_can_not_answer_now(
    judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVAL_API_TOKEN")
    answer = Answer({"code": "database-unavailable", "detail": "the disk is full"}, 503)
    judge.will(LOCAL_TEAM, answer)
    result = run_validate()
    assert result.code == 2
    assert result.err == "error: the judge's database is busy or away (503): the disk is full\n"


def test_the_judges_secret_shows_that_this_user_runs_it(
    judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("EVAL_API_TOKEN")
    run_validate()
    secret = make_secret(tmp_path / "judge")
    assert make_secret(tmp_path / "judge") == secret
    assert len(secret) == 64
    assert (tmp_path / "judge/local-secret").stat().st_mode & 0o777 == 0o600
    result = run_validate()
    assert [request.secret for request in judge.requests] == [None, None, secret, None]
    assert secret not in result.out + result.err


def test_a_secret_that_the_judge_makes_just_now_is_read_again(
    judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("EVAL_API_TOKEN")
    answer = StandIn.answer

    def answer_and_make(stand_in: StandIn, request: Request) -> Answer:
        if request.line == LOCAL_TEAM and request.secret is None:
            make_secret(tmp_path / "judge")
            return Answer({"code": "local-secret"}, 403)
        return answer(stand_in, request)

    monkeypatch.setattr(StandIn, "answer", answer_and_make)
    assert run_validate().code == 0
    assert judge.lines == [LOCAL_TEAM, LOCAL_TEAM, VALIDATE]


def test_another_users_judge(
    judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("EVAL_API_TOKEN")
    judge.will(LOCAL_TEAM, Answer({"code": "local-secret"}, 403))
    assert run_validate().err == (
        f"error: {judge.url} gives out no token for a local team (403); set EVAL_API_TOKEN, or MIPSEG_JUDGE_DIR to the "
        f"folder of the judge, which is not at {tmp_path / 'judge'}\n"
    )


@pytest.mark.parametrize("token", [None, "", 5, "a b", "ä", "a\nb"])
def test_a_local_team_without_a_usable_token(
    judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch, token: object
) -> None:
    monkeypatch.delenv("EVAL_API_TOKEN")
    judge.will(LOCAL_TEAM, Answer({"token": token}))
    result = run_validate()
    assert (result.code, judge.lines) == (2, [LOCAL_TEAM])
    assert result.err == "error: the judge's answer has an unexpected form: `token` can't be sent\n"


@pytest.fixture
def public_judge(judge: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The stand-in under a public name, which a proxy leads to."""

    def resolve(host: str, _: object) -> list[object]:
        known = {"judge.example": "8.8.8.8", "home.example": "192.168.1.5", "team.example": "9.9.9.9"}
        if host not in known:
            raise OSError
        return [(0, 0, 0, "", (known[host], 0))]

    monkeypatch.setattr(addresses, "socket", SimpleNamespace(getaddrinfo=resolve))
    monkeypatch.setenv("HTTP_PROXY", judge.url)
    monkeypatch.setenv("EVAL_API_URL", "http://judge.example")
    return judge


@pytest.mark.parametrize(("service", "kind"), [
    ("http://localhost:8000", "loopback"), ("http://0.0.0.0:9051/predict", "loopback"), ("http://[::1]", "loopback"),
    ("http://[::ffff:127.0.0.1]", "loopback"), ("http://10.1.2.3", "private"), ("http://home.example", "private"),
    ("http://laptop", "private"), ("http://laptop.local", "private"), ("https://team.example", None),
    ("https://1.1.1.1", None), ("https://unknown.example", None),
])  # fmt: skip
def test_an_endpoint_that_a_public_judge_can_not_reach(
    public_judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch, service: str, kind: str | None
) -> None:
    monkeypatch.setenv("TUMOR_SEGMENTATION_SERVICE_URL", service)
    result = run_validate()
    assert (result.code, public_judge.lines, public_judge.requests[0].host) == (0, [VALIDATE], "judge.example")
    unencrypted, *rest = result.err.splitlines()
    assert unencrypted == "warning: http://judge.example gets the token unencrypted; use https:// if it can"
    if kind is None:
        assert rest == []
    else:
        assert len(rest) == 1
        assert f" is a {kind} address, which the judge at http://judge.example can't reach; set TUMOR_" in rest[0]


def test_a_public_judge_needs_a_token(
    public_judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVAL_API_TOKEN")
    result = run_validate("--json")
    assert result.code == 2
    message = "http://judge.example needs a token; set EVAL_API_TOKEN"
    assert result.object == {"error": "no-token", "message": message}
    assert result.err == f"error: {message}\n"
    assert public_judge.lines == []


def test_a_local_judge_reaches_a_local_endpoint_and_no_proxy_is_asked(
    judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUMOR_SEGMENTATION_SERVICE_URL", "http://localhost:8000")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    result = run_validate()
    assert (result.code, result.err) == (0, "")
    assert judge.requests[0].body == {"url": "http://localhost:8000/predict"}
