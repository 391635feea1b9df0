"""A client that knows the protocol alone, against a judge; and against one that answers a little wrong."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import judge_endpoints as endpoints
import pytest
from judge_endpoints import Endpoint, answer, empty_mask, sends
from judge_running import BASE, Running

from mipjudge import store
from mipjudge.database import Database
from mipjudge.sets import build_sets
from mipjudge.settings import JudgeSettings

SCRIPT = Path(__file__).with_name("outside_client.sh")
pytestmark = [
    pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="curl or bash is not installed"),
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]


@dataclass(frozen=True)
class Change:
    """What a judge answers a little wrong: another status for a path's end, or another piece of a body."""

    path: str = ""
    status: int = 0
    old: str = ""
    new: str = ""


NOTHING = Change()
Outside = Callable[..., "subprocess.CompletedProcess[str]"]


@contextmanager
def proxy(target: str, change: Change, open_evaluation: Callable[[], None]) -> Iterator[str]:
    """Passes calls on with a change, and opens the evaluation when `/open` is asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.path == "/open":
                open_evaluation()
            headers = {name: self.headers[name] for name in ("x-token", "content-type") if name in self.headers}
            got = httpx.request(self.command, f"{target}{self.path}", content=body, headers=headers, timeout=60)
            content = got.content.replace(change.old.encode(), change.new.encode()) if change.old else got.content
            wrong = change.status and f"{self.command} {self.path}".endswith(change.path)
            self.send_response(change.status if wrong else got.status_code)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def outside(settings: JudgeSettings, db: Database) -> Iterator[Outside]:
    """Runs the client as a new team, whose evaluation has not opened yet."""
    settings = settings.model_copy(update={"set_size": 3})
    sets = build_sets(settings)
    cases = [images.case(place) for images in (sets.validation, sets.test) for place in range(3)]
    known, perfect = {case.image.tobytes() for case in cases}, endpoints.perfect(cases)
    empty = sends(lambda body: answer(empty_mask(body)))

    def handler(endpoint: Endpoint, connection: socket.socket, body: bytes) -> None:
        # The connection test's image is in no set.
        (perfect if endpoints.image_key(body) in known else empty)(endpoint, connection, body)

    with Running(settings) as judge, Endpoint(handler) as service:
        target = str(judge.client.base_url).rstrip("/")

        def run(change: Change = NOTHING) -> "subprocess.CompletedProcess[str]":
            store.set_evaluation(db, None)
            token = store.local_team(db, f"team {change}"[:64])[1]
            with proxy(target, change, lambda: store.set_evaluation(db, 0)) as address:
                return subprocess.run(
                    ["bash", SCRIPT, address, token, service.url, f"curl --silent {address}/open"],
                    env={**os.environ, "PYTHON": sys.executable},
                    capture_output=True,
                    text=True,
                    timeout=120,
                    check=False,
                )

        yield run


@pytest.mark.long
def test_every_call_of_the_protocol(outside: Outside) -> None:
    done = outside()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("'score': 1.0") == 2
    assert done.stdout.endswith("everything holds\n")


DIFFERENCES = [
    (Change("/status", 403), "GET /status: status 403 instead of 200"),
    (Change(old='"can_predict":true', new='"can_predict":false'), "a['can_predict']"),
    (Change(old='"sample":"iVBOR', new='"sample":"xVBOR'), "is_png"),
    (Change("POST " + BASE + "/validate/queue", 202), "POST /validate/queue: status 202 instead of 200"),
    (Change(old='"status":"done"', new='"status":"completed"'), "a['status'] in"),
    (Change(old='"type":"evaluation"', new='"type":"validation"'), "a['usecase_name']"),
    (Change(old='"position_in_queue":0', new='"position_in_queue":"0"'), "a['position_in_queue']"),
    (Change(old='+00:00"', new='"'), "has no offset"),
    (Change(old='_uuid":"', new='_uuid":"-'), "is_id"),
    (Change(old='"score":1.0', new='"score":100.0'), "a['attempt']['score'] <= 1"),
    (Change("POST " + BASE + "/evaluate/queue", 202), "POST /evaluate/queue: status 202 instead of 403"),
]


@pytest.mark.parametrize(
    ("change", "message"), DIFFERENCES[:3] + [pytest.param(*one, marks=pytest.mark.long) for one in DIFFERENCES[3:]]
)
def test_the_client_names_the_first_difference(outside: Outside, change: Change, message: str) -> None:
    done = outside(change)
    assert done.returncode == 1, done.stdout
    assert message in done.stderr
