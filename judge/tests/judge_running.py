"""A judge over real HTTP in a thread of the test; see `judge_processes.py` for processes."""

import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx
import pytest
import uvicorn

from mipjudge import store
from mipjudge.app import create_app
from mipjudge.attempt_queue import Images
from mipjudge.database import Database
from mipjudge.sets import build_sets
from mipjudge.settings import JudgeSettings
from mipjudge.target import AddressPolicy
from mipseg.http.local_secret import HEADER, make_secret

BASE = "/api/v1/usecases/tumor-segmentation"
# The reliability plan's own numbers take half an hour, and `--timeout 2400`.
FULL = bool(os.environ.get("MIPSEG_TEST_FULL"))
SIZE = 200 if FULL else 20  # of a set
OpenDatabase = Callable[..., Database]


class Running:
    """A judge in a thread, and a client."""

    def __init__(self, settings: JudgeSettings, policy: AddressPolicy | None = None) -> None:
        config = uvicorn.Config(create_app(settings, policy), host="127.0.0.1", port=0, log_config=None, ws="none")
        self.settings, self.server = settings, uvicorn.Server(config)
        self._thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        while self._thread.is_alive() and not self.server.started:
            time.sleep(0.01)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        self.db = Database(self.settings.sqlalchemy_url)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self.db.close()
        self.server.should_exit = True
        self._thread.join(15)

    @property
    def images(self) -> Images:
        """What it notes about its validation set."""
        return build_sets(self.settings).images("validation")

    def team(self, name: str = "team") -> dict[str, str]:
        return {"x-token": store.local_team(self.db, name)[1]}

    def local_team(self, **headers: str) -> httpx.Response:
        """Ask for a local team as this user's client does."""
        secret = {HEADER: make_secret(self.settings.dir)}
        return self.client.post("/api/v1/local/team", headers=secret | headers)

    def queue(self, url: str, headers: dict[str, str], kind: str = "validate") -> httpx.Response:
        return self.client.post(f"{BASE}/{kind}/queue", json={"url": url}, headers=headers)

    def wait(self, uuid: str, headers: dict[str, str], kind: str = "validate") -> dict[str, Any]:
        for _ in range(600):
            found: dict[str, Any] = self.client.get(f"{BASE}/{kind}/queue/{uuid}", headers=headers).json()
            if found["status"] in ("done", "failed"):
                return found
            time.sleep(0.05)
        pytest.fail("the attempt did not end")


def assert_problem(response: httpx.Response, status: int, code: str) -> None:
    """An error in the one shape, short, and without anything of the inside."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == code
    assert len(response.content) <= 1024
    assert "Traceback" not in response.text
    assert "site-packages" not in response.text
