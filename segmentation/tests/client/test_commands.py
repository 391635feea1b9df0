"""The commands as processes of their own."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.judge import CANARY, DASHED, LOCAL_TEAM, UUID, VALIDATE, VALIDATION, Answer, StandIn, attempt


def command(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", "-m", f"mipseg.client.{module}", *arguments]


@pytest.mark.long
def test_validate_and_then_check_status(judge: StandIn, tmp_path: Path) -> None:
    judge.will(VALIDATION, Answer(attempt()))
    first = subprocess.run(command("validate"), capture_output=True, text=True, check=False)
    assert (first.returncode, first.stderr) == (0, "")
    uuid = first.stdout.split()[-1]
    second = subprocess.run(command("check_status", uuid, "--json"), capture_output=True, text=True, check=False)
    assert (second.returncode, second.stderr) == (0, "")
    assert json.loads(second.stdout)["score"] == 0.71234567
    assert CANARY not in first.stdout + second.stdout


@pytest.mark.long
@pytest.mark.parametrize(("status", "exit_code"), [("failed", 1), ("unheard-of", 2)])
def test_exit_codes(judge: StandIn, status: str, exit_code: int) -> None:
    judge.will(VALIDATION, Answer(attempt(status, None)))
    run = subprocess.run(command("check_status", DASHED), capture_output=True, text=True, check=False)
    assert run.returncode == exit_code
    assert "Traceback" not in run.stderr


@pytest.mark.long
def test_a_bar_on_a_terminal_and_json_in_a_pipe_without_any_token(
    judge: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVAL_API_TOKEN")
    for name, value in {"TERM": "xterm", "COLUMNS": "100"}.items():
        monkeypatch.setenv(name, value)
    judge.will(VALIDATION, Answer(attempt("running", None, progress={"done": 37, "total": 200})), Answer(attempt()))
    controller, terminal = pty.openpty()
    process = subprocess.Popen(command("validate", "--wait", "--json"), stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    seen = b""
    try:
        while part := os.read(controller, 65536):
            seen += part
    except OSError:
        pass  # Linux' way to say that nobody writes any more
    finally:
        os.close(controller)
        out, _ = process.communicate()
    assert (process.returncode, json.loads(out)["score"]) == (0, 0.71234567)
    assert b"37/200" in seen
    assert f"uv run check-status {UUID}".encode() in seen
    assert CANARY.encode() not in seen + out
    assert judge.lines == [LOCAL_TEAM, VALIDATE, VALIDATION, VALIDATION]


def listen_to_ctrl_c() -> None:
    """Shells let what they start in the background ignore it, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.long
def test_ctrl_c(judge: StandIn) -> None:
    judge.will(VALIDATION, Answer(attempt("running", None)))
    with subprocess.Popen(
        command("validate", "--wait"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=listen_to_ctrl_c,  # noqa: PLW1509  # it calls nothing that locks
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while process.stderr.readline() != b"running\n":
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        last = process.stderr.read().decode()
    assert process.returncode == 130
    assert last == f"stopped; the attempt goes on, follow it with: uv run check-status {UUID}\n"
