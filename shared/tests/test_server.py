import re
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
from mipseg.settings import Settings, project_root
from mipserve import server
from mipserve.ports import PortError
from mipserve.settings import ServiceSettings

pytestmark = pytest.mark.long  # whole programs

IMAGE = np.full((40, 30, 3), 200, np.uint8)
SLOW = "import time\ndef predict(img):\n    time.sleep({seconds})\n    return img * 0\n"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What `main` would do, without doing it."""
    calls: dict[str, Any] = {}

    def record_free_port(host: str, port: int, *, keep: bool, force: bool) -> None:
        calls.update(host=host, port=port, keep=keep, force=force)

    def record_serve(
        factory: str, host: str, port: int, *, app_dir: str, reload_dirs: list[str] | None, root_path: str
    ) -> None:
        assert (host, port) == (calls["host"], calls["port"])
        calls.update(app_dir=app_dir, reload_dirs=reload_dirs, root_path=root_path)

    monkeypatch.setattr(server, "free_port", record_free_port)
    monkeypatch.setattr(server, "serve", record_serve)
    monkeypatch.setattr(server, "configure_logging", lambda: None)
    monkeypatch.chdir(tmp_path)  # no .env
    for name in ("API_HOST", "API_PORT", "API_RELOAD", "API_TASK_DIR", "DATA_DIR", "JUDGE_LOCAL"):
        monkeypatch.setenv(f"MIPSEG_{name}", "")  # `main` sets them; so they are put back afterwards
        monkeypatch.delenv(f"MIPSEG_{name}")
    for name in ("HOST", "PORT"):
        monkeypatch.delenv(name, raising=False)
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


def test_the_judge_behind_a_proxy_is_not_local(monkeypatch: pytest.MonkeyPatch, served: Any) -> None:
    run_main(monkeypatch)
    assert JudgeSettings(host=ServiceSettings().host).is_local
    run_main(monkeypatch, "--root-path", "/mipseg")
    assert not JudgeSettings(host=ServiceSettings().host).is_local


@pytest.mark.hazard("H12")
def test_defaults(monkeypatch: pytest.MonkeyPatch, served: Any) -> None:
    run_main(monkeypatch)
    segmentation = project_root() / "segmentation"
    assert served == {
        "host": "127.0.0.1",
        "port": 8000,
        "keep": False,
        "force": False,
        "app_dir": str(segmentation),
        "reload_dirs": [str(Path(str(p.__file__)).parent) for p in (mipseg, mipjudge, mipserve)],
        "root_path": "",
    }
    assert (segmentation / "example.py").is_file()


def test_settings_from_the_environment(monkeypatch: pytest.MonkeyPatch, served: Any, tmp_path: Path) -> None:
    values = {"HOST": "0.0.0.0", "PORT": "8123", "RELOAD": "false", "KEEP": "1", "TASK_DIR": ".", "ROOT_PATH": "/x/y"}
    for name, value in values.items():
        monkeypatch.setenv(f"MIPSEG_API_{name}", value)
    run_main(monkeypatch)
    assert served == {
        "host": "0.0.0.0",
        "port": 8123,
        "keep": True,
        "force": False,
        "app_dir": str(tmp_path),
        "reload_dirs": None,
        "root_path": "/x/y",
    }
    built = ServiceSettings()  # as the application sees it
    assert (built.reload, built.task_dir) == (False, tmp_path)


def test_the_command_line_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch, served: Any) -> None:
    for name, value in {"HOST": "0.0.0.0", "PORT": "8123", "RELOAD": "1", "KEEP": "0"}.items():
        monkeypatch.setenv(f"MIPSEG_API_{name}", value)
    run_main(monkeypatch, "--host", "::1", "--port", "8124", "--no-reload", "--force", "--root-path", "/z")
    assert (served["host"], served["port"], served["force"], served["root_path"]) == ("::1", 8124, True, "/z")
    assert served["reload_dirs"] is None
    assert not ServiceSettings().reload


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_host_and_port_of_earlier_kits(
    monkeypatch: pytest.MonkeyPatch, served: Any, tmp_path: Path, place: str
) -> None:
    if place == ".env":
        (tmp_path / ".env").write_text("HOST=0.0.0.0\nPORT=9052\n")
    else:
        monkeypatch.setenv("HOST", "0.0.0.0")
        monkeypatch.setenv("PORT", "9052")
    run_main(monkeypatch)
    assert (served["host"], served["port"]) == ("0.0.0.0", 9052)
    monkeypatch.setenv("MIPSEG_API_PORT", "9053")  # a name of our own goes before
    run_main(monkeypatch)
    assert served["port"] == 9053
    run_main(monkeypatch, "--port", "9054")
    assert served["port"] == 9054


def test_a_machines_name_in_host_opens_nothing(monkeypatch: pytest.MonkeyPatch, served: Any) -> None:
    monkeypatch.setenv("HOST", "laptop")  # as tcsh sets it
    run_main(monkeypatch)
    assert served["host"] == "127.0.0.1"


def test_installed_code_is_not_watched(monkeypatch: pytest.MonkeyPatch, served: Any) -> None:
    for package in (mipseg, mipjudge, mipserve):
        monkeypatch.setattr(package, "__file__", f"/venv/lib/python3.11/site-packages/{package.__name__}/__init__.py")
    run_main(monkeypatch)
    assert served["reload_dirs"] is None
    assert ServiceSettings().reload  # example.py is


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
    assert re.fullmatch(rf"error: MIPSEG_API_PORT: Input should be .* \(given: '{value}'\)\n", capsys.readouterr().err)
    assert served == {}


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("MIPSEG_THREADS", "two", "MIPSEG_THREADS: Input should be a valid integer, .* (given: 'two')"),
        ("MIPSEG_API_RELOAD", "often", "MIPSEG_API_RELOAD: Input should be a valid boolean, .* (given: 'often')"),
        ("MIPSEG_API_ROOT_PATH", "mipseg", "MIPSEG_API_ROOT_PATH: String should match pattern .*"),
        ("PORT", "x", "PORT: Input should be a valid integer, .* (given: 'x')"),
    ],
)
def test_a_setting_that_is_none(
    monkeypatch: pytest.MonkeyPatch,
    served: Any,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    error: str,
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as end:
        run_main(monkeypatch)
    assert end.value.code == 2
    pattern = re.escape(f"error: {error}").replace(r"\.\*", ".*")
    assert re.fullmatch(pattern + "\n", capsys.readouterr().err)
    assert served == {}


def test_empty_settings_are_not_set(monkeypatch: pytest.MonkeyPatch, served: Any) -> None:
    for name in ("MIPSEG_THREADS", "MIPSEG_API_PORT", "MIPSEG_API_HOST", "PORT", "HOST", "MIPSEG_API_TASK_DIR"):
        monkeypatch.setenv(name, "")
    run_main(monkeypatch)
    assert (served["host"], served["port"]) == ("127.0.0.1", 8000)
    assert served["app_dir"] == str(project_root() / "segmentation")


def test_keep_and_force_exclude_each_other(
    monkeypatch: pytest.MonkeyPatch, served: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIPSEG_API_KEEP", "1")
    with pytest.raises(SystemExit) as end:
        run_main(monkeypatch, "--force")
    assert end.value.code == 2
    assert capsys.readouterr().err == "error: Value error, keep and force exclude each other\n"


def test_a_wrong_data_folder_is_an_error_and_one_above_the_data_works(
    monkeypatch: pytest.MonkeyPatch, served: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("MIPSEG_DATA_DIR", str(tmp_path / "repository"))
    with pytest.raises(SystemExit, match=r"^error: MIPSEG_DATA_DIR: no patients/imgs and patients/labels in or below "):
        run_main(monkeypatch)
    assert served == {}
    for part in ("imgs", "labels"):
        (tmp_path / "repository/task/data/patients" / part).mkdir(parents=True)
    run_main(monkeypatch)
    assert Settings().data_dir == tmp_path / "repository/task/data"  # as the judge in the service sees it


def test_a_held_port_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch, served: Any) -> None:
    def refuse(host: str, port: int, *, keep: bool, force: bool) -> None:
        raise PortError("port 8000 is held")

    monkeypatch.setattr(server, "free_port", refuse)
    with pytest.raises(SystemExit) as end:
        run_main(monkeypatch)
    assert end.value.code == "error: port 8000 is held"  # Python prints it, and ends with status 1


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


@pytest.mark.long
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
    assert "Find the tumours in a PET scan" in page.text
    new.process.send_signal(signal.SIGINT)  # Ctrl-C
    assert new.process.wait(15) == 0


def cmdline(pid: int) -> str:
    return " ".join(psutil.Process(pid).cmdline())


@pytest.mark.long
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


@pytest.mark.long
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
    for option in ("--host", "--port", "--root-path", "--no-reload", "--keep", "--force"):
        assert option in text
