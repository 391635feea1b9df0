"""Freeing a port that an earlier service of the same user still holds."""

import os
import socket
from collections.abc import Callable
from contextlib import suppress

import psutil
import structlog

TERM_S, KILL_S = 5.0, 3.0
_log = structlog.get_logger()


class PortError(Exception):
    """The port can't be used; the text says who holds it and what would work."""


def holders(port: int) -> list[psutil.Process]:
    """Every process that listens on a TCP port, as far as this user may see. With hot reload two share one socket."""
    found = []
    for process in psutil.process_iter():
        try:
            connections = process.net_connections(kind="tcp")
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        if any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections):
            found.append(process)
    return found


def free_port(host: str, port: int, *, keep: bool) -> None:
    """Make sure that a port can be listened on.

    Whatever process of this user listens on it is ended: all holders at once, since a reloader whose child alone was
    ended would start another; with TERM, and with KILL if they do not go. Nobody else's process is touched.

    Args:
        host: address to listen on.
        port: TCP port.
        keep: end nothing; a held port is an error then.

    Raises:
        PortError: the port stays taken.
    """
    if _is_free(host, port):
        return
    found = [process for process in holders(port) if process.pid != os.getpid()]
    names = ", ".join(_describe(process) for process in found) or "a process of another user"
    advice = f"choose another with --port, such as --port {port + 1}"
    if keep:
        raise PortError(f"port {port} is held by {names}; {advice}, or leave out --keep to end it")
    if not found or any(process.uids().real != os.getuid() for process in found):
        raise PortError(f"port {port} is held by {names}, which is not yours to end; {advice}")
    for process in found:
        _log.warning("ending_port_holder", port=port, pid=process.pid, name=process.name())
    _end(found)
    if not _is_free(host, port):
        raise PortError(f"port {port} is still held after ending {names}; {advice}")


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn does: TIME_WAIT is no holder
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _describe(process: psutil.Process) -> str:
    try:
        return f"{process.name()} (pid {process.pid}, user {process.username()})"
    except psutil.Error:
        return f"pid {process.pid}"


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        _signal(process.terminate)
    _, alive = psutil.wait_procs(processes, TERM_S)
    for process in alive:
        _signal(process.kill)
    psutil.wait_procs(alive, KILL_S)


def _signal(send: Callable[[], None]) -> None:
    with suppress(psutil.NoSuchProcess):
        send()
