"""Freeing a port that an earlier service of the same user still holds; any other program is left alone."""

import errno
import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path

import psutil
import structlog

from mipseg.http.addresses import as_destination

TERM_S, KILL_S = 5.0, 3.0
ASK_S = 2.0  # for a holder's answer to /api, whatever the holder is
MAX_ANSWER = 64 * 1024
# A browser may take either address for `localhost`, so a stranger on the other one would get our requests.
OTHER_LOOPBACK = {"127.0.0.1": "::1", "localhost": "::1", "::1": "127.0.0.1"}
_log = structlog.get_logger()


class PortError(Exception):
    """The port can't be used; the text says who holds it and what would work."""


def holders(port: int) -> list[psutil.Process]:
    """Every process that listens on a TCP port at any address, as far as this user may see.

    With hot reload two processes share one socket.
    """
    return [
        process
        for process in psutil.process_iter(["ppid", "name", "username", "cmdline", "net_connections"])
        if _addresses(process, port)
    ]


def free_port(host: str, port: int, *, keep: bool = False, force: bool = False, term_s: float = TERM_S) -> None:
    """Make sure that a port can be listened on.

    An earlier MIPseg of this user that listens on it is ended: all of its processes at once, since a reloader whose
    child alone was ended would start another; with TERM, and with KILL if they do not go. Neither a process of another
    user nor one that started this one is touched, by root neither; and any other program only with `force`.

    Args:
        host: address to listen on.
        port: TCP port.
        keep: end nothing; a held port is an error then.
        force: end whatever of this user's holds the port.
        term_s: seconds between TERM and KILL.

    Raises:
        PortError: the port stays taken, or this machine does not have the address.
    """
    bindable, found = _is_free(host, port), holders(port)
    me = psutil.Process()
    mine = [process for process in found if process.info["username"] == _user()]
    if bindable and not mine:
        return
    names = ", ".join(map(_describe, found)) or "a process that you may not see"
    held = f"port {port} is held by {names}"
    advice = f"choose another with --port, such as --port {port + 1 if port < 65535 else port - 1}"
    family = {me.pid, *(parent.pid for parent in me.parents())}
    if any(process.pid in family for process in mine):
        raise PortError(f"{held}, which is or started this program; {advice}")
    if not mine or len(mine) < len(found):
        raise PortError(f"{held}, which is not yours to end; {advice}")
    if keep:
        raise PortError(f"{held}; {advice}, or leave out --keep to end it")
    others = [] if force else _strangers(mine, port)
    if others:
        strangers = ", ".join(map(_describe, others))
        raise PortError(f"port {port} is held by {strangers}, which is not MIPseg; {advice}, or end it with --force")
    for process in mine:
        _log.warning("ending_port_holder", port=port, pid=process.pid, name=process.info["name"])
    _end(mine, term_s)
    if not _is_free(host, port):
        raise PortError(f"port {port} is still held after ending {names}; {advice}")


def _user() -> str:
    return str(psutil.Process().username())


def _addresses(process: psutil.Process, port: int) -> list[str]:
    """Where a process listens on a port."""
    return [
        connection.laddr.ip
        for connection in process.info["net_connections"] or ()
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    ]


def _strangers(processes: list[psutil.Process], port: int) -> list[psutil.Process]:
    """Those that are not recognisably MIPseg, nor started by one that is."""
    ours = {process.pid for process in processes if _is_ours(process, port)}
    return [process for process in processes if not ours & {process.pid, process.info["ppid"]}]


def _is_ours(process: psutil.Process, port: int) -> bool:
    """Whether a process is recognisably this service: a Python that runs its command, or that answers as it does.

    A tunnel to a service elsewhere answers so as well, but is not Python.
    """
    program, *arguments = process.info["cmdline"] or [""]
    if not Path(program).name.lower().startswith("python"):
        return False
    with suppress(OSError):
        if _runs_api(arguments):
            return True
    return any(_answers_as_mipseg(as_destination(address), port) for address in _addresses(process, port))


def _runs_api(arguments: list[str]) -> bool:
    """Whether Python's arguments are those of the command `api`, in whatever environment it is installed."""
    if arguments[:1] == ["-m"]:
        return arguments[1:2] == ["mipserve.server"]
    script = Path(arguments[0]) if arguments else Path()
    if script.stem != "api" or not script.is_absolute() or not script.is_file():
        return False
    with script.open("rb") as file:
        return b"from mipserve" in file.read(MAX_ANSWER)


def _answers_as_mipseg(address: str, port: int) -> bool:
    """Whether `GET /api` at an address of this machine says that the service there is MIPseg."""
    end, answer = time.monotonic() + ASK_S, b""
    try:
        with socket.create_connection((address, port), timeout=ASK_S) as connection:
            connection.sendall(b"GET /api HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            while len(answer) < MAX_ANSWER and (left := end - time.monotonic()) > 0:
                connection.settimeout(left)
                part = connection.recv(MAX_ANSWER)
                if not part:
                    break
                answer += part
        content = json.loads(answer.partition(b"\r\n\r\n")[2])
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("service") == "mipseg"


def _is_free(host: str, port: int) -> bool:
    error = _bind_error(host, port)
    if error is not None and error.errno != errno.EADDRINUSE:
        raise PortError(f"can't listen on {host}, port {port}: {error.strerror}; see --host and --port")
    if error is None and host in OTHER_LOOPBACK:
        error = _bind_error(OTHER_LOOPBACK[host], port)  # fails otherwise where there is no IPv6
    return error is None or error.errno != errno.EADDRINUSE


def _bind_error(host: str, port: int) -> OSError | None:
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn: TIME_WAIT is no holder
            probe.bind((host, port))
    except OSError as error:
        return error
    return None


def _describe(process: psutil.Process) -> str:
    return f"{process.info['name']} (pid {process.pid}, user {process.info['username']})"


def _end(processes: list[psutil.Process], term_s: float) -> None:
    for method, seconds in ((psutil.Process.terminate, term_s), (psutil.Process.kill, KILL_S)):
        for process in processes:
            with suppress(psutil.Error):  # it has gone by itself, or may not be ended: the port tells
                method(process)
        deadline = time.monotonic() + seconds
        while (processes := [p for p in processes if _runs(p)]) and time.monotonic() < deadline:
            time.sleep(0.05)


def _runs(process: psutil.Process) -> bool:
    # psutil's own wait would wait for a zombie as well, though that holds no port any more.
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False
