"""Real processes on real ports: services and other holders, all ended after the test."""

import base64
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

from tests.ports import free_port

API = Path(sys.executable).with_name("api")
START_S = 60.0
HOLDER = """
import os, signal, socket, sys, time
host, port, stubborn, user, answer = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "stubborn", *sys.argv[4:]
if user:  # only now: another user may not be allowed to start this interpreter
    os.setuid(int(user))
if stubborn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
print("listening", flush=True)
while answer:
    connection, _ = listener.accept()
    assert connection.recv(4096).startswith(b"GET /api HTTP/1.0")
    connection.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n" + answer.encode())
    connection.close()
time.sleep(300)
"""
MIPSEG = '{"service":"mipseg","version":"0.1.0"}'  # what makes a holder recognisable


class Service:
    """`api` as a process.

    Args:
        log: file of its output.
        port: where it listens.
        arguments: of its command line.
        environment: beside the present one.
    """

    def __init__(self, log: Path, port: int, arguments: list[str], environment: dict[str, str]) -> None:
        self.port, self._log = port, log
        command = [str(API), "--port", str(port), *arguments]
        own = {"MIPSEG_THREADS": "1", "MIPSEG_JUDGE_DIR": str(log.parent / "judge")}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=output, env={**os.environ, **own, **environment}
            )

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8")

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def wait_until(self, condition: Callable[[], bool], seconds: float = START_S) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if condition():
                    return
            except httpx.TransportError:
                pass  # not there yet, or just restarting
            time.sleep(0.1)
        pytest.fail(f"still waiting after {seconds} s; the log:\n{self.log}")

    def wait_until_it_answers(self, path: str = "/livez") -> None:
        self.wait_until(lambda: httpx.get(self.url(path), timeout=2).status_code == 200)

    def predict(self, image: np.ndarray, timeout: float = 10) -> np.ndarray:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        body = {"img": base64.b64encode(buffer.getvalue()).decode()}
        answer = httpx.post(self.url("/tumor/predict"), json=body, timeout=timeout)
        assert answer.status_code == 200, answer.text
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(answer.json()["img"]))))

    def tree(self) -> set[int]:
        """The process ids of the service: its own and its children's."""
        return {self.process.pid, *(child.pid for child in psutil.Process(self.process.pid).children())}


@pytest.fixture
def port() -> int:
    """A port that nothing listens on, at any address."""
    return free_port()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Starts services: `start(port, "--no-reload", MIPSEG_API_TASK_DIR=...)`."""
    with starting(tmp_path) as start_one:
        yield start_one


@pytest.fixture(scope="module")
def start_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Service]]:
    """Starts a service on a free port for all tests of a module: `start_once(EXAMPLE)`."""
    folder = tmp_path_factory.mktemp("service")
    with starting(folder) as start_one:

        def start(example: str) -> Service:
            (folder / "example.py").write_text(example)
            settings = {"MIPSEG_API_TASK_DIR": str(folder), "MIPSEG_JUDGE_DATA_DIR": str(folder)}
            return start_one(free_port(), "--no-reload", **settings)

        yield start


@contextmanager
def starting(folder: Path) -> Iterator[Callable[..., Service]]:
    services: list[Service] = []

    def start_one(port: int, *arguments: str, **environment: str) -> Service:
        log = folder / f"service_{len(services)}.log"
        services.append(Service(log, port, list(arguments), environment))
        return services[-1]

    yield start_one
    for service in services:
        if service.process.poll() is None:
            for child in psutil.Process(service.process.pid).children(recursive=True):
                child.kill()
            service.process.kill()
        service.process.wait()


@pytest.fixture
def hold() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts processes that listen, and answer `/api` as MIPseg: `hold("127.0.0.1", port, stubborn=True, user=65534)`.

    With another `answer` a holder is a stranger; an empty one means that it accepts connections and says nothing.
    """
    processes: list[subprocess.Popen[str]] = []

    def hold_one(
        host: str, port: int, *, stubborn: bool = False, user: int | None = None, answer: str = MIPSEG
    ) -> subprocess.Popen[str]:
        character = "stubborn" if stubborn else "meek"
        command = [sys.executable, "-c", HOLDER, host, str(port), character, str(user or ""), answer]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        return process

    yield hold_one
    for process in processes:
        process.kill()
        process.communicate()
