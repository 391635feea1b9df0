import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

import mipjudge
import mipseg
import mipserve
from mipjudge.settings import JudgeSettings
from mipseg.settings import project_root
from mipserve import server
from mipserve.ports import PortError
from mipserve.settings import ServiceSettings

IMAGE = np.full((40, 30, 3), 200, np.uint8)
SLOW = "import time\ndef predict(img):\n    time.sleep({seconds})\n    return img * 0\n"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What `main` would do, without doing it."""
    calls: dict[str, Any] = {}

    def record_free_port(host: str, port: int, *, keep: bool) -> None:
        calls.update(host=host, port=port, keep=keep)

    def record_serve(factory: str, host: str, port: int, *, app_dir: str, reload_dirs: list[str] | None) -> None:
        assert (host, port) == (calls["host"], calls["port"])
        calls.update(app_dir=app_dir, reload_dirs=reload_dirs)

    monkeypatch.setattr(server, "free_port", record_free_port)
    monkeypatch.setattr(server, "serve", record_serve)
    monkeypatch.setattr(server, "configure_logging", lambda: None)
    monkeypatch.chdir(tmp_path)  # no .env
    for name in ("MIPSEG_API_HOST", "MIPSEG_API_PORT"):
        monkeypatch.setenv(name, "")  # `main` sets them; so they are put back afterwards
        monkeypatch.delenv(name)
    return calls


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["api", *arguments])
    server.main()


def test_the_built_application_learns_where_it_listens(monkeypatch: pytest.MonkeyPatch, served: Any) -> None:
    run_main(monkeypatch, "--host", "0.0.0.0", "--port", "8125")
    # The judge inside takes itself for local, and calls loopback addresses, only where it listens to loopback.
    settings = ServiceSettings()
    assert (settings.host, settings.port) == ("0.0.0.0", 8125)
    assert not JudgeSettings(host=settings.host).is_local


@pytest.mark.hazard("H12")
def test_defaults(monkeypatch: pytest.MonkeyPatch, served: Any) -> None:
    run_main(monkeypatch)
    segmentation = project_root() / "segmentation"
    assert served == {
        "host": "127.0.0.1",
        "port": 8000,
        "keep": False,
        "app_dir": str(segmentation),
        "reload_dirs": [str(segmentation), *(str(Path(str(p.__file__)).parent) for p in (mipseg, mipjudge, mipserve))],
    }
    assert (segmentation / "example.py").is_file()


def test_settings_from_the_environment(monkeypatch: pytest.MonkeyPatch, served: Any, tmp_path: Path) -> None:
    values = {"HOST": "0.0.0.0", "PORT": "8123", "RELOAD": "false", "KEEP": "1", "TASK_DIR": "."}
    for name, value in values.items():
        monkeypatch.setenv(f"MIPSEG_API_{name}", value)
    run_main(monkeypatch)
    assert served == {
        "host": "0.0.0.0",
        "port": 8123,
        "keep": True,
        "app_dir": str(tmp_path),
        "reload_dirs": None,
    }


def test_the_command_line_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch, served: Any) -> None:
    for name, value in {"HOST": "0.0.0.0", "PORT": "8123", "RELOAD": "1", "KEEP": "0"}.items():
        monkeypatch.setenv(f"MIPSEG_API_{name}", value)
    run_main(monkeypatch, "--host", "::1", "--port", "8124", "--no-reload", "--keep")
    assert (served["host"], served["port"], served["keep"]) == ("::1", 8124, True)
    assert served["reload_dirs"] is None


def test_a_task_dir_that_is_missing_is_not_watched(
    monkeypatch: pytest.MonkeyPatch, served: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("MIPSEG_API_TASK_DIR", str(tmp_path / "missing"))
    run_main(monkeypatch)
    assert served["reload_dirs"] == [str(Path(str(p.__file__)).parent) for p in (mipseg, mipjudge, mipserve)]


@pytest.mark.parametrize("value", ["0", "65536", "http"])
@pytest.mark.parametrize("by", ["argument", "environment"])
def test_a_port_that_is_none(
    monkeypatch: pytest.MonkeyPatch, served: Any, capsys: pytest.CaptureFixture[str], value: str, by: str
) -> None:
    if by == "environment":
        monkeypatch.setenv("MIPSEG_API_PORT", value)
    with pytest.raises(SystemExit) as end:
        run_main(monkeypatch, *(["--port", value] if by == "argument" else []))
    assert end.value.code == 2
    assert "error: MIPSEG_API_PORT: Input should be" in capsys.readouterr().err
    assert served == {}


def test_a_held_port_is_reported_in_one_line(
    monkeypatch: pytest.MonkeyPatch, served: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(host: str, port: int, *, keep: bool) -> None:
        raise PortError("port 8000 is held")

    monkeypatch.setattr(server, "free_port", refuse)
    with pytest.raises(SystemExit) as end:
        run_main(monkeypatch)
    assert end.value.code == 1
    assert capsys.readouterr().err == "error: port 8000 is held\n"


def test_keep(start: Callable[..., Any], hold: Callable[..., subprocess.Popen[str]], port: int) -> None:
    holder = hold("127.0.0.1", port)
    service = start(port, "--keep")
    assert service.process.wait(60) == 1
    assert service.log == (
        f"error: port {port} is held by {psutil.Process(holder.pid).name()} (pid {holder.pid}, user "
        f"{psutil.Process().username()}); choose another with --port, such as --port {port + 1}, "
        "or leave out --keep to end it\n"
    )
    assert holder.poll() is None


def test_a_reloading_service_is_replaced_whole(start: Callable[..., Any], port: int) -> None:
    old = start(port)
    old.wait_until_it_answers()
    old_processes = {psutil.Process(pid) for pid in old.tree() if "resource_tracker" not in cmdline(pid)}
    assert len(old_processes) == 2
    new = start(port)
    assert old.process.wait(60) == 0
    new.wait_until_it_answers()
    assert not any(process.is_running() for process in old_processes)
    for process in old_processes:
        assert f'"pid": {process.pid}' in new.log
    assert new.log.count("ending_port_holder") == 2
    page = httpx.get(new.url("/"))
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "MIPseg is running" in page.text
    new.process.send_signal(signal.SIGINT)  # Ctrl-C
    assert new.process.wait(15) == 0


def cmdline(pid: int) -> str:
    return " ".join(psutil.Process(pid).cmdline())


@pytest.mark.parametrize("arguments", [["--no-reload"], []], ids=["no-reload", "reload"])
def test_sigterm_lets_a_running_request_end(
    start: Callable[..., Any], port: int, tmp_path: Path, arguments: Any
) -> None:
    (tmp_path / "example.py").write_text(SLOW.format(seconds=2))
    service = start(port, *arguments, MIPSEG_API_TASK_DIR=str(tmp_path))
    service.wait_until_it_answers("/readyz")
    masks = []
    client = threading.Thread(target=lambda: masks.append(service.predict(IMAGE)))
    client.start()
    service.wait_until(lambda: "mipseg_predictions_inside 1.0" in httpx.get(service.url("/metrics")).text)
    asked = time.monotonic()
    assert httpx.get(service.url("/livez")).status_code == 200
    assert time.monotonic() - asked < 1  # predictions do not hold up the event loop
    service.process.send_signal(signal.SIGTERM)
    told = time.monotonic()
    assert service.process.wait(30) == 0
    assert time.monotonic() - told < 15
    client.join(1)
    assert [mask.max() for mask in masks] == [0]


def test_sigterm_ends_a_service_whose_predict_hangs(start: Callable[..., Any], port: int, tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text(SLOW.format(seconds=120))
    service = start(port, "--no-reload", MIPSEG_API_TASK_DIR=str(tmp_path))
    service.wait_until_it_answers()  # the warm-up hangs
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(15) == 0


def test_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run_main(monkeypatch, "--help")
    assert end.value.code == 0
    text = capsys.readouterr().out
    for option in ("--host", "--port", "--no-reload", "--keep"):
        assert option in text
