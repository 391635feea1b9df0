"""A judge over real HTTP, in a thread of the test."""

import threading
import time

import httpx
import pytest
import uvicorn

from mipjudge import store
from mipjudge.app import create_app
from mipjudge.database import Database

BASE = "/api/v1/usecases/tumor-segmentation"


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
