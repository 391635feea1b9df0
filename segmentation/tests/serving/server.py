"""A real server in a process of its own, and what a test wants to know about it."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import pytest

from tests.memory import growth_below, memory_mb
from tests.ports import free_port

START_S = 60
LOG_S = 10


class Server:
    """Starts `served_app.py` on a free port; a context manager.

    Args:
        folder: working directory; holds the log.
        predict: `builtin` or `faulty`.
        settings: environment variables.
    """

    def __init__(self, folder: Path, predict: str = "builtin", settings: dict[str, str] | None = None) -> None:
        self._folder, self._predict, self._settings = folder, predict, settings or {}
        self.log_file = folder / "log"

    def __enter__(self) -> "Server":
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, str(Path(__file__).with_name("served_app.py")), self._predict, str(self.port)]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MIPSEG_")}
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                command, env=inherited | self._settings, cwd=self._folder, stdout=log, stderr=log
            )
        self.client = httpx.Client(base_url=self.url, timeout=20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self.process.terminate()
        try:
            self.process.wait(15)
        finally:
            self.process.kill()
            self.process.wait()

    def wait_until_ready(self) -> None:
        """Wait until /readyz answers 200."""
        end = time.monotonic() + START_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if self.client.get("/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        pytest.fail(f"the server did not get ready:\n{self.log()[-3000:]}")

    def log(self) -> str:
        """Everything that was logged so far; a request's line may come a moment after its answer."""
        return self.log_file.read_text(encoding="utf-8")

    def log_of(self, ids: list[str]) -> list[dict[str, Any]]:
        """The entries of some requests, in the order of the log, as soon as each has at least one."""
        end = time.monotonic() + LOG_S
        while time.monotonic() < end:
            entries = [json.loads(line) for line in self.log().splitlines()]
            found = [entry for entry in entries if entry.get("request_id") in ids]
            if {entry["request_id"] for entry in found} == set(ids):
                return found
            time.sleep(0.02)
        pytest.fail(f"requests without a line in the log:\n{self.log()[-3000:]}")

    def last_answered(self) -> str:
        """The id of one more request, which is in the log; so are all that were answered before it."""
        request_id = str(self.client.get("/nowhere").headers["x-request-id"])
        self.log_of([request_id])
        return request_id

    def seconds(self) -> float:
        """A clock: the process' own time on a core, which other programs do not stretch; wall clock where unknown."""
        if sys.platform != "linux":
            return time.perf_counter()
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def connect(self) -> socket.socket:
        """A raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=15)

    @contextmanager
    def memory_growth_below(self, megabytes: float) -> Iterator[None]:
        """Assert that the process' peak of resident memory rises less than this inside of the block (Linux only)."""
        if sys.platform != "linux":
            yield
            return
        with growth_below(megabytes, self.process.pid):
            yield

    def memory_mb(self) -> float:
        """The process' resident memory in MiB (Linux only)."""
        return memory_mb("VmRSS", self.process.pid)


def raw_exchange(connection: socket.socket, data: bytes) -> httpx.Response:
    """Send bytes as they are and read one answer until the server closes or is quiet for a while."""
    with suppress(OSError):  # the server may refuse before it has read everything
        connection.sendall(data)
    return read_answer(connection)


def read_answer(connection: socket.socket) -> httpx.Response:
    """Read one answer with Content-Length; status 0 if the server closes without one."""
    received = b""
    try:
        while True:
            head, _, body = received.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            if length and len(body) >= int(length[1]):
                break
            part = connection.recv(65536)
            if not part:
                break
            received += part
    except ConnectionResetError:
        pass
    if not received:
        return httpx.Response(599)
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    return httpx.Response(int(first.split()[1]), headers=headers, content=body)
