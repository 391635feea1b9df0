import pickle
from pathlib import Path

import pytest

from mipseg.client.errors import UsageError
from mipseg.client.settings import ClientSettings
from tests.client.conftest import Command
from tests.client.judge import CANARY, StandIn

SERVICE_URL = "TUMOR_SEGMENTATION_SERVICE_URL"


def test_defaults_are_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EVAL_API_URL", "EVAL_API_TOKEN", SERVICE_URL):
        monkeypatch.delenv(name)
    settings = ClientSettings.load()
    assert settings.eval_api_url == "http://localhost:8000"
    assert settings.eval_api_token is None
    assert settings.tumor_segmentation_service_url == "http://localhost:8000/predict"
    assert settings.judge_is_local


def test_a_port_counts_for_what_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVAL_API_URL")
    monkeypatch.setenv(SERVICE_URL, "https://team.example:8000")
    settings = ClientSettings.load(8123)
    assert settings.eval_api_url == "http://localhost:8123"
    assert settings.tumor_segmentation_service_url == "https://team.example:8000/predict"


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_what_is_not_a_port_is_refused(run_check: Command, port: str) -> None:
    result = run_check("0" * 32, "--port", port)
    assert result.code == 2
    assert f"'{port}' is not a port; give a number from 1 to 65535" in result.err


def test_dotenv_and_the_environment_before_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f'EVAL_API_URL=http://ignored\nEVAL_API_TOKEN="{CANARY}"\nWANDB_API_KEY=x\n')
    monkeypatch.delenv("EVAL_API_TOKEN")
    settings = ClientSettings.load()
    assert settings.eval_api_token is not None
    assert settings.eval_api_token.get_secret_value() == CANARY
    assert settings.eval_api_url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(("given", "used"), [
    ("http://host", "http://host/predict"),
    ("http://host/", "http://host/predict"),
    ("http://host:9051/predict", "http://host:9051/predict"),
    ("http://host/predict/", "http://host/predict/"),
    ("http://host/tumor", "http://host/tumor/predict"),
    ("http://host/tumor/predict", "http://host/tumor/predict"),
    ("http://host/mypredict", "http://host/mypredict/predict"),
    (" https://host/a?key=1 ", "https://host/a/predict?key=1"),
])  # fmt: skip
def test_predict_is_appended_once(monkeypatch: pytest.MonkeyPatch, given: str, used: str) -> None:
    monkeypatch.setenv(SERVICE_URL, given)
    assert ClientSettings.load().tumor_segmentation_service_url == used


def test_a_judge_below_a_path(judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVAL_API_URL", judge.url + "/below/")
    run_validate()
    assert judge.lines == ["POST /below/api/v1/usecases/tumor-segmentation/validate/queue"]


@pytest.mark.parametrize(("value", "text"), [
    ("localhost:8000", "must begin with http:// or https:// and a host"),
    ("file:///etc/passwd", "must begin with http:// or https:// and a host"),
    ("http://", "must begin with http:// or https:// and a host"),
    ("http://user:secret@host", "must not hold a user or a password"),
    ("http://secret@host", "must not hold a user or a password"),
    ("http://host/#secret", "must not hold a #fragment"),
    ("http://host:99999/secret", "is not a web address"),
    ("http://host:0/secret", "is not a web address"),
    ("http://[secret", "is not a web address"),
    ("http://a b/secret", "is not a web address"),
    ("http://host/\nsecret", "is not a web address"),
    ("http://a..b\u2024/secret", "is not a web address"),
])  # fmt: skip
@pytest.mark.parametrize("name", ["EVAL_API_URL", SERVICE_URL])
def test_addresses_that_can_not_be_used(
    judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch, name: str, value: str, text: str
) -> None:
    monkeypatch.setenv(name, value)
    result = run_validate("--json")
    assert (result.code, result.err, judge.lines) == (2, f"error: {name}: {text}\n", [])
    assert result.object == {"error": "bad-setting", "message": f"{name}: {text}"}


def test_the_judge_has_no_query(run_validate: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVAL_API_URL", "http://host/?token=secret")
    assert run_validate().err == "error: EVAL_API_URL: must not hold a ?query\n"


@pytest.mark.parametrize("token", [f"{CANARY} x", f"{CANARY}\nx", f"{CANARY}ä", f"{CANARY}\x07"])
def test_a_token_that_can_not_be_sent(
    judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("EVAL_API_TOKEN", token)
    result = run_validate()
    assert (result.code, judge.lines) == (2, [])
    assert result.err == "error: EVAL_API_TOKEN: has characters that can't be sent; copy it again\n"


def test_blanks_around_the_token_are_dropped(
    judge: StandIn, run_validate: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVAL_API_TOKEN", f" {CANARY}\n")
    assert (run_validate().code, judge.requests[0].token) == (0, CANARY)


def test_several_faults_are_told_at_once(run_validate: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVAL_API_URL", "x")
    monkeypatch.setenv("EVAL_API_TOKEN", "ä")
    assert run_validate().err == (
        "error: EVAL_API_URL: must begin with http:// or https:// and a host; "
        "EVAL_API_TOKEN: has characters that can't be sent; copy it again\n"
    )


def test_dotenv_that_is_not_text(run_validate: Command, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"EVAL_API_TOKEN=\xff\xfe\n")
    assert run_validate().err == "error: .env can't be read; it must be a text file in UTF-8\n"


def test_the_settings_do_not_show_the_token() -> None:
    settings = ClientSettings.load()
    assert CANARY not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert CANARY.encode() in pickle.dumps(settings)  # the token is there all the same


def test_an_error_does_not_show_it_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVAL_API_TOKEN", f"{CANARY} ")
    monkeypatch.setenv("EVAL_API_URL", f"http://{CANARY}@host")
    with pytest.raises(UsageError) as caught:
        ClientSettings.load()
    assert CANARY not in repr(caught.getrepr(style="long", showlocals=False))
