import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from structlog.testing import capture_logs

from mipserve import ports
from mipserve.ports import PortError, free_port, holders

pytestmark = pytest.mark.long  # whole programs

FREE = """
import os, sys
from mipserve.ports import free_port
if user := int(sys.argv[2]):
    os.setuid(user)
free_port("127.0.0.1", int(sys.argv[1]))
"""
PARENT = f"""
import socket, subprocess, sys
with socket.create_server(("127.0.0.1", 0)) as listener:
    port = str(listener.getsockname()[1])
    child = subprocess.run([sys.executable, "-c", {FREE!r}, port, "0"], capture_output=True, text=True)
print(child.returncode, child.stderr)
"""
NOBODY, SOMEBODY = 65534, 65533
IS_ROOT = hasattr(os, "getuid") and os.getuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root can start a process of another user")


def can_listen(host: str, port: int) -> bool:
    with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
        return True


def test_a_free_port_is_left_alone(port: int) -> None:
    with capture_logs() as logs:
        free_port("127.0.0.1", port)
        free_port("127.0.0.1", port, keep=True)
    assert logs == []


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("127.0.0.1", "0.0.0.0"),
        ("127.0.0.1", "localhost"),
        ("::1", "127.0.0.1"),  # a browser may go to ::1 for localhost
        ("::", "127.0.0.1"),
        ("127.0.0.1", "::1"),
        ("127.0.0.2", "127.0.0.1"),  # no obstacle, yet what `--port` names is to be ours alone
    ],
)
def test_a_holder_is_ended_whatever_its_address(
    hold: Callable[..., subprocess.Popen[str]], port: int, held: str, wanted: str
) -> None:
    process = hold(held, port)
    name = psutil.Process(process.pid).name()
    started = time.monotonic()
    with capture_logs() as logs:
        free_port(wanted, port)
    # The holder is our child and not waited for, thus a zombie: that must not hold things up.
    assert time.monotonic() - started < 4
    assert process.wait(5) == -15
    assert logs == [
        {
            "event": "ending_port_holder",
            "log_level": "warning",
            "port": port,
            "pid": process.pid,
            "name": name,
        }
    ]
    assert can_listen(wanted, port)


def test_a_holder_that_ignores_term_is_killed(hold: Callable[..., subprocess.Popen[str]], port: int) -> None:
    process = hold("127.0.0.1", port, stubborn=True)
    free_port("127.0.0.1", port, term_s=0.3)
    assert process.wait(5) == -9
    assert can_listen("127.0.0.1", port)


def test_all_holders_are_ended(hold: Callable[..., subprocess.Popen[str]], port: int) -> None:
    processes = [hold("127.0.0.1", port), hold("::1", port)]
    assert {process.pid for process in holders(port)} == {process.pid for process in processes}
    free_port("127.0.0.1", port)
    assert [process.wait(5) for process in processes] == [-15, -15]


def test_keep_ends_nothing(hold: Callable[..., subprocess.Popen[str]], port: int) -> None:
    process = hold("127.0.0.1", port)
    with pytest.raises(PortError) as error:
        free_port("127.0.0.1", port, keep=True)
    assert f"pid {process.pid}" in str(error.value)
    assert f"--port {port + 1}, or leave out --keep" in str(error.value)
    assert process.poll() is None


STRANGERS = {
    "silent": "",
    "a page": "<html>",
    "another service": '{"service": "tumor-segmentation"}',
    "a list": '["mipseg"]',
    "deep": "[" * 20_000,
}


@pytest.mark.parametrize("answer", STRANGERS.values(), ids=list(STRANGERS))
def test_another_program_is_left_alone_and_named(
    hold: Callable[..., subprocess.Popen[str]], port: int, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr(ports, "ASK_S", 0.3)
    process = hold("127.0.0.1", port, answer=answer)
    found = psutil.Process(process.pid)
    with pytest.raises(PortError) as error:
        free_port("127.0.0.1", port)
    assert str(error.value) == (
        f"port {port} is held by {found.name()} (pid {process.pid}, user {found.username()}), which is not MIPseg; "
        f"choose another with --port, such as --port {port + 1}, or end it with --force"
    )
    assert process.poll() is None


def test_a_file_server_is_left_alone(port: int) -> None:
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + 20
            while not holders(port) and time.monotonic() < end:
                time.sleep(0.05)
            with pytest.raises(PortError, match="which is not MIPseg"):
                free_port("127.0.0.1", port)
            assert process.poll() is None
            free_port("127.0.0.1", port, force=True)
            assert process.wait(5) == -15
        finally:
            process.kill()


def test_an_answer_that_drips_is_not_waited_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "ASK_S", 0.5)

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            while True:
                connection.sendall(b" ")
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", port)) as listener:
        threading.Thread(target=drip, args=[listener], daemon=True).start()
        started = time.monotonic()
        assert not ports._answers_as_mipseg("127.0.0.1", port)
    assert time.monotonic() - started < 2


def test_a_command_line_tells_ours_though_it_answers_nothing(tmp_path: Path) -> None:
    ours, other = tmp_path / "api", tmp_path / "other/api"
    other.parent.mkdir()
    ours.write_text("import sys\nfrom mipserve.server import main\n")
    other.write_text("from flask import Flask\n")
    for arguments, expected in (
        ([str(ours), "--port", "8000"], True),
        (["-m", "mipserve.server"], True),
        ([str(other)], False),
        (["-m", "http.server"], False),
        (["-c", "import mipserve.server"], False),
        ([str(tmp_path / "missing/api")], False),
        (["api"], False),
        (["-m"], False),
        ([], False),
    ):
        assert ports._runs_api(arguments) is expected, arguments


def test_a_tunnel_to_a_service_elsewhere_is_not_ended(hold: Callable[..., subprocess.Popen[str]], port: int) -> None:
    process = hold("127.0.0.1", port)  # it answers as MIPseg
    found = holders(port)
    assert ports._strangers(found, port) == []
    found[0].info["cmdline"] = ["/usr/bin/ssh", "-L", f"{port}:elsewhere:8000", "elsewhere"]
    assert ports._strangers(found, port) == found
    found[0].info["cmdline"] = ["/usr/bin/vim", "/venv/bin/api"]
    assert ports._strangers(found, port) == found
    assert process.poll() is None


def test_what_ours_has_started_is_ended_with_it(
    hold: Callable[..., subprocess.Popen[str]], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "ASK_S", 0.2)
    child = hold("127.0.0.1", port, answer="")  # as a reloader's child that hangs
    found = holders(port)
    found[0].info["ppid"] = 4711
    parent = SimpleNamespace(
        pid=4711, info={**found[0].info, "ppid": 1, "cmdline": ["python", "-m", "mipserve.server"]}
    )
    assert ports._strangers([parent, *found], port) == []
    assert child.poll() is None


def test_force_ends_another_program(hold: Callable[..., subprocess.Popen[str]], port: int) -> None:
    process = hold("127.0.0.1", port, answer="")
    free_port("127.0.0.1", port, force=True)
    assert process.wait(5) == -15


@needs_root
def test_force_ends_no_other_users_program(hold: Callable[..., subprocess.Popen[str]], port: int) -> None:
    process = hold("127.0.0.1", port, user=NOBODY)
    with pytest.raises(PortError, match="which is not yours to end"):
        free_port("127.0.0.1", port, force=True)
    assert process.poll() is None


def test_closed_connections_that_linger_are_no_holders(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listener:
        client = socket.create_connection(("127.0.0.1", port))
        listener.accept()[0].close()  # who closes first waits
        client.close()
    states = [c.status for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port]
    assert states == [psutil.CONN_TIME_WAIT]
    free_port("127.0.0.1", port, keep=True)


def test_what_started_us_is_not_ended() -> None:
    parent = subprocess.run([sys.executable, "-c", PARENT], capture_output=True, text=True, check=False)
    assert parent.returncode == 0
    assert parent.stdout.startswith("1 ")
    assert "which is or started this program; choose another with --port" in parent.stdout


def test_we_do_not_end_ourselves(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortError, match="is or started this program"):
        free_port("127.0.0.1", port)


@pytest.mark.parametrize("held", ["127.0.0.1", "0.0.0.0", "::1"])
def test_a_process_of_another_user_is_not_ended(
    hold: Callable[..., subprocess.Popen[str]], port: int, monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    process = hold(held, port)
    monkeypatch.setattr(ports, "_user", lambda: "somebody")
    with pytest.raises(PortError) as error:
        free_port("127.0.0.1", port)
    assert f"(pid {process.pid}, user " in str(error.value)
    assert f"which is not yours to end; choose another with --port, such as --port {port + 1}" in str(error.value)
    assert process.poll() is None


@needs_root
def test_root_ends_nobody_elses_process(hold: Callable[..., subprocess.Popen[str]], port: int) -> None:
    process = hold("127.0.0.1", port, user=NOBODY)
    with pytest.raises(PortError, match=rf"\(pid {process.pid}, user \w+\), which is not yours to end; .*--port"):
        free_port("127.0.0.1", port)
    assert process.poll() is None


@needs_root
def test_a_holder_that_cannot_be_seen_is_reported(hold: Callable[..., subprocess.Popen[str]], port: int) -> None:
    process = hold("127.0.0.1", port, user=NOBODY)
    command = [sys.executable, "-c", FREE, str(port), str(SOMEBODY)]
    other = subprocess.run(command, capture_output=True, text=True, check=False)
    assert other.returncode == 1
    assert f"port {port} is held by a process that you may not see, which is not yours to end;" in other.stderr
    assert process.poll() is None


@needs_root
def test_a_process_of_another_user_at_an_address_of_its_own_is_no_obstacle(
    hold: Callable[..., subprocess.Popen[str]], port: int
) -> None:
    process = hold("127.0.0.2", port, user=NOBODY)
    free_port("127.0.0.1", port)
    assert process.poll() is None


def test_the_last_port_has_no_next() -> None:
    with socket.create_server(("127.0.0.1", 65535)), pytest.raises(PortError, match="such as --port 65534"):
        free_port("127.0.0.1", 65535, keep=True)


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
def test_an_address_of_another_machine_is_reported(port: int, host: str) -> None:
    with pytest.raises(PortError, match=f"can't listen on {host}, port {port}: .*; see --host and --port"):
        free_port(host, port)
