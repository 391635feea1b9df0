"""Judges and workers as processes of their own, forked from one that has imported everything, which takes seconds."""

import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import httpx
import psutil
import pytest

from mipjudge import cli
from mipjudge.settings import JudgeSettings
from tests.ports import free_port

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["pytest", "mipjudge.cli", "mipjudge.app"])


def environment(settings: JudgeSettings, **more: str) -> dict[str, str]:
    """The environment in which a process of its own has these settings."""
    names = ("dir", "data_dir", "set_size", "deadline_s", "lease_s", "verify_interval_s")
    ours = {name: value for name, value in os.environ.items() if not name.startswith("MIPSEG_")}
    ours |= {f"MIPSEG_JUDGE_{name.upper()}": str(getattr(settings, name)) for name in names}
    return ours | {"MIPSEG_JUDGE_DATABASE_URL": settings.database_url.get_secret_value()} | more


def _main(arguments: list[str], variables: dict[str, str], log: Path) -> None:
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(log.parent)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.argv = ["judge", *arguments]
    cli.main()


@contextmanager
def judge_command(settings: JudgeSettings, log: Path, *arguments: str) -> Iterator[BaseProcess]:
    """Run `judge` with arguments; what it writes goes to the end of a file, and it is gone afterwards."""
    process = _CONTEXT.Process(target=_main, args=(list(arguments), environment(settings), log), daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def end(process: BaseProcess, seconds: float = 20) -> int | None:
    """Let a process end by itself; its exit status."""
    process.terminate()
    process.join(seconds)
    return process.exitcode


def is_stopped(process: BaseProcess) -> bool:
    """Whether it stands still after SIGSTOP."""
    return bool(psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)


@contextmanager
def judge_process(settings: JudgeSettings, log: Path) -> Iterator[httpx.Client]:
    """Run `judge` as a service; gives a client of it."""
    port = free_port()
    with (
        judge_command(settings, log, "--port", str(port)) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        _wait_for(client, process, log)
        yield client
        assert end(process) == 0


def _wait_for(client: httpx.Client, process: BaseProcess, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.is_alive():
        try:
            if client.get("/api/v1/scoreboard").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    pytest.fail(f"the judge did not start: {log.read_text()[-2000:]}")
