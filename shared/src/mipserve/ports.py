"""Freeing a port that an earlier service of the same user still holds."""

import errno
import os
import socket
import time
from contextlib import suppress

import psutil
import structlog

TERM_S, KILL_S = 5.0, 3.0
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
        for process in psutil.process_iter(["name", "username", "uids", "net_connections"])
        if any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            for connection in process.info["net_connections"] or ()
        )
    ]


def free_port(host: str, port: int, *, keep: bool, term_s: float = TERM_S) -> None:
    """Make sure that a port can be listened on.

    Whatever process of this user listens on it is ended: all holders at once, since a reloader whose child
    alone was ended would start another; with TERM, and with KILL if they do not go. Neither a process of
    another user nor one that started this one is touched, by root neither.

    Args:
        host: address to listen on.
        port: TCP port.
        keep: end nothing; a held port is an error then.
        term_s: seconds between TERM and KILL.

    Raises:
        PortError: the port stays taken, or the address is none of this machine's.
    """
    bindable, found = _is_free(host, port), holders(port)
    mine = [process for process in found if process.info["uids"].real == os.getuid()]
    if bindable and not mine:
        return
    names = ", ".join(map(_describe, found)) or "a process that you may not see"
    held = f"port {port} is held by {names}"
    advice = f"choose another with --port, such as --port {port + 1 if port < 65535 else port - 1}"
    family = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    if any(process.pid in family for process in mine):
        raise PortError(f"{held}, which is or started this program; {advice}")
    if not mine or len(mine) < len(found):
        raise PortError(f"{held}, which is not yours to end; {advice}")
    if keep:
        raise PortError(f"{held}; {advice}, or leave out --keep to end it")
    for process in mine:
        _log.warning("ending_port_holder", port=port, pid=process.pid, name=process.info["name"])
    _end(mine, term_s)
    if not _is_free(host, port):
        raise PortError(f"port {port} is still held after ending {names}; {advice}")


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
