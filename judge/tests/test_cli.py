import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from mipjudge import cli, store
from mipjudge.database import Database

RunJudge = Callable[..., str]


@pytest.fixture
def judge(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> RunJudge:
    monkeypatch.setenv("MIPSEG_JUDGE_DATABASE_URL", database_url)
    monkeypatch.setenv("MIPSEG_JUDGE_DIR", str(tmp_path))
    monkeypatch.setenv("MIPSEG_JUDGE_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, status: int = 0, **extra: str) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["judge", *arguments])
            for name, value in extra.items():
                patch.setenv(name, value)
            code: int | str | None = 0
            try:
                cli.main()
            except SystemExit as end:
                code = end.code
        assert code == status
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return captured.out if status == 0 else captured.err

    return run


def test_an_operators_day(judge: RunJudge, db: Database) -> None:
    made = judge("admin", "make-team", "Ada's team")
    token = re.search(r"token  ([0-9a-f]{64})", made)
    assert token is not None
    team = store.find_team(db, token[1])
    assert team is not None
    assert team.name == "Ada's team"
    assert "exists" in judge("admin", "make-team", "Ada's team", status=1)
    listed = judge("admin", "teams")
    assert "Ada's team" in listed
    assert token[1] not in listed

    judge("admin", "open-evaluation", "--at", "2100-01-01T00:00+00:00")
    assert store.evaluation_opens_at(db) == 4102444800.0
    judge("admin", "open-evaluation")
    attempt = store.enqueue(db, team, "evaluation", "http://127.0.0.1:64999/", (1, 1))
    judge("admin", "close-evaluation")
    assert store.evaluation_opens_at(db) is None

    with db.write() as session:
        session.execute(text("UPDATE attempts SET status = 'failed', failure = 'unreachable'"))
    assert re.search(rf"{attempt.id}  evaluation  failed   unreachable .* Ada's team", judge("admin", "attempts"))
    assert "over" in judge("admin", "cancel", attempt.id, status=1)
    judge("admin", "requeue", attempt.id)
    found = store.find_attempt(db, team, attempt.id)
    assert found is not None
    assert found.status == "queued"
    assert "no such attempt" in judge("admin", "requeue", "0" * 32, status=1)

    assert judge("admin", "cancel", attempt.id) == "cancelled\n"

    assert judge("admin", "rename-team", "Ada's team", "Zoe\u0308") == "team   Zo\u00eb\n"
    assert judge("admin", "rename-team", "Ada's team", "x", status=1) == "error: there is no such team\n"
    fresh = re.search(r"token  ([0-9a-f]{64})", judge("admin", "new-token", "Zo\u00eb"))
    assert fresh is not None
    assert (store.find_team(db, token[1]), store.find_team(db, fresh[1]) is not None) == (None, True)
    assert judge("admin", "delete-team", "Zo\u00eb") == "deleted\n"
    assert judge("admin", "teams") == ""


def test_a_console_with_few_letters_loses_no_token(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"DATABASE_URL": database_url, "DIR": str(tmp_path), "DATA_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(f"MIPSEG_JUDGE_{name}", value)
    for encoding, shown in (
        ("cp1252", b"Zo\xeb \\u4e2d"),
        ("ascii", b"Zo\\xeb \\u4e2d"),
        ("utf-8", "Zo\u00eb \u4e2d".encode()),
    ):
        console = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(console, encoding))
        monkeypatch.setattr(sys, "argv", ["judge", "admin", "make-team", f"Zo\u00eb \u4e2d {encoding}"])
        cli.main()
        sys.stdout.flush()
        lines = console.getvalue().splitlines()
        assert lines[0] == b"team   " + shown + b" " + encoding.encode()
        assert re.fullmatch(rb"token  [0-9a-f]{64}", lines[2])


@pytest.mark.parametrize("date", ["0001-01-01", "9999-12-31T23:59:59-12:00", "1969-12-31", "soon", ""])
def test_a_date_that_can_not_be_kept_is_an_error(
    judge: RunJudge, capsys: pytest.CaptureFixture[str], date: str
) -> None:
    line = judge("admin", "open-evaluation", "--at", date, status=2).splitlines()[-1]
    wanted = "a date from 1970 on is needed, such as 2026-12-01T12:00+01:00"
    assert line == f"judge admin open-evaluation: error: argument --at: {date!r}; {wanted}"


def test_wrong_settings_and_databases_are_one_line(judge: RunJudge, tmp_path: Path) -> None:
    for name, value, message in (
        ("MIPSEG_JUDGE_SEED", "x", "Input should be a valid integer, unable to parse string as an integer"),
        (
            "MIPSEG_JUDGE_ALLOW",
            "10.0.0.0/99",
            "Value error, '10.0.0.0/99' does not appear to be an IPv4 or IPv6 network",
        ),
        ("MIPSEG_THREADS", "two", "Input should be a valid integer, unable to parse string as an integer"),
    ):
        for command in (["admin", "teams"], ["work"], []):
            assert judge(*command, status=2, **{name: value}) == f"error: {name}: {message} (given: {value!r})\n"
    assert judge("admin", "teams", MIPSEG_JUDGE_PORT="") == ""  # empty counts as not set
    (tmp_path / ".env").write_bytes(b"MIPSEG_JUDGE_SEED=\xff\xfe\n")
    unreadable = "error: .env can't be read; it must be a text file in UTF-8\n"
    assert judge("admin", "teams", status=2) == unreadable
    (tmp_path / ".env").unlink()
    (tmp_path / "file").write_text("no database" * 1000)
    lines = judge("admin", "teams", status=1, MIPSEG_JUDGE_DATABASE_URL=f"sqlite:///{tmp_path / 'file'}")
    assert lines.count("\n") == 1


@pytest.mark.long
def test_a_worker_alone_logs_json_and_ends_on_sigterm(database_url: str, tmp_path: Path) -> None:
    environment = dict(os.environ, MIPSEG_JUDGE_DATABASE_URL=database_url, MIPSEG_JUDGE_DIR=str(tmp_path))
    command = [sys.executable, "-m", "mipjudge.cli", "work"]
    worker = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert worker.stderr is not None
    assert json.loads(worker.stderr.readline())["event"] == "judge_works"
    worker.terminate()
    assert worker.wait(20) == 0
    worker.stderr.close()
