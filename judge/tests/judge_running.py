"""A judge over real HTTP, in a thread of the test or as a process of its own."""

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import httpx
import pytest
import uvicorn

from mipjudge import store
from mipjudge.app import create_app
from mipjudge.database import Database

BASE = "/api/v1/usecases/tumor-segmentation"
# The reliability plan's own numbers take half an hour, and `--timeout 2400`.
FULL = bool(os.environ.get("MIPSEG_TEST_FULL"))
SIZE = 200 if FULL else 20  # of a set


class Running:
    """A judge in a thread, and a client."""

    def __init__(self, settings):
        config = uvicorn.Config(create_app(settings), host="127.0.0.1", port=0, log_config=None, ws="none")
        self.settings, self.server = settings, uvicorn.Server(config)
        self._thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self):
        self._thread.start()
        while self._thread.is_alive() and not self.server.started:
            time.sleep(0.01)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        self.db = Database(self.settings.sqlalchemy_url)
        return self

    def __exit__(self, *_):
        self.client.close()
        self.db.close()
        self.server.should_exit = True
        self._thread.join(15)

    def team(self, name="team"):
        return {"x-token": store.local_team(self.db, name)[1]}

    def queue(self, url, headers, kind="validate"):
        return self.client.post(f"{BASE}/{kind}/queue", json={"url": url}, headers=headers)

    def wait(self, uuid, headers, kind="validate"):
        for _ in range(600):
            found = self.client.get(f"{BASE}/{kind}/queue/{uuid}", headers=headers).json()
            if found["status"] in ("done", "failed"):
                return found
            time.sleep(0.05)
        return pytest.fail("the attempt did not end")


def environment(settings, **more):
    """The environment in which a process of its own has these settings."""
    names = ("dir", "data_dir", "set_size", "deadline_s", "lease_s", "verify_interval_s")
    ours = {name: value for name, value in os.environ.items() if not name.startswith("MIPSEG_")}
    ours |= {f"MIPSEG_JUDGE_{name.upper()}": str(getattr(settings, name)) for name in names}
    return ours | {"MIPSEG_JUDGE_DATABASE_URL": settings.database_url.get_secret_value()} | more


@contextmanager
def judge_process(settings, log):
    """Run `judge`; gives a client of it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mipjudge.cli", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment(settings), stdout=output, stderr=output, cwd=log.parent)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        try:
            _wait_for(client, process, log)
            yield client
        finally:
            process.terminate()
            assert process.wait(20) == 0


def _wait_for(client, process, log):
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            if client.get("/api/v1/scoreboard").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"the judge did not start: {log.read_text()[-2000:]}")


def assert_problem(response, status, code):
    """An error in the one shape, short, and without anything of the inside."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == code
    assert len(response.content) <= 1024
    assert "Traceback" not in response.text
    assert "site-packages" not in response.text
