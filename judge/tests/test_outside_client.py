"""A client that knows the protocol alone, against a judge as a process; and against one that answers a little wrong."""

import shutil
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import judge_endpoints as endpoints
import pytest
from judge_endpoints import Endpoint, answer, empty_mask, sends
from judge_running import environment, judge_process

from mipjudge import store
from mipjudge.sets import build_sets

SCRIPT = Path(__file__).with_name("outside_client.sh")
pytestmark = [
    pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="curl or bash is not installed"),
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]


@contextmanager
def proxy(target, status, old, new):
    """Passes calls on, and answers with something else in place of a status or of a piece of the body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name: self.headers[name] for name in ("x-token", "content-type") if name in self.headers}
            got = httpx.request(self.command, f"{target}{self.path}", content=body, headers=headers, timeout=60)
            content = got.content.replace(old.encode(), new.encode()) if old else got.content
            self.send_response(int(new) if got.status_code == status else got.status_code)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def outside(settings, db, tmp_path):
    """Runs the client as a new team, whose evaluation has not opened yet."""
    settings = settings.model_copy(update={"set_size": 3})
    sets = build_sets(settings)
    cases = [images.case(place) for images in (sets.validation, sets.test) for place in range(3)]
    known, perfect = {case.image.tobytes() for case in cases}, endpoints.perfect(cases)

    def handler(endpoint, connection, body):  # the connection test's image is in no set
        handle = perfect if endpoints.image_key(body) in known else sends(lambda body: answer(empty_mask(body)))
        handle(endpoint, connection, body)

    with judge_process(settings, tmp_path / "log") as client, Endpoint(handler) as service:
        judge = str(client.base_url).rstrip("/")

        def run(status=0, old="", new=""):
            store.set_evaluation(db, None)
            token = store.local_team(db, f"{status}{old} {new}")[1]
            command = f"{sys.executable} -m mipjudge.cli admin open-evaluation"
            with proxy(judge, status, old, new) as address:
                return subprocess.run(
                    ["bash", SCRIPT, address if status or old else judge, token, service.url, command],
                    env=environment(settings, PYTHON=sys.executable),
                    capture_output=True,
                    text=True,
                    timeout=120,
                    check=False,
                )

        yield run


def test_every_call_of_the_protocol(outside):
    done = outside()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("'score': 1.0") == 2
    assert done.stdout.endswith("everything holds\n")


DIFFERENCES = [
    ((0, '"status":"done"', '"status":"completed"'), "a['status'] in"),
    ((0, '"type":"evaluation"', '"type":"validation"'), "a['usecase_name']"),
    ((0, '"position_in_queue":0', '"position_in_queue":"0"'), "a['position_in_queue']"),
    ((0, '+00:00"', '"'), "has no offset"),
    ((0, '_uuid":"', '_uuid":"-'), "is_id"),
    ((0, '"score":1.0', '"score":100.0'), "a['attempt']['score'] <= 1"),
    ((0, '"can_predict":true', '"can_predict":false'), "a['can_predict']"),
    ((0, '"sample":"iVBOR', '"sample":"xVBOR'), "is_png"),
    ((202, "", "200"), "POST /validate/queue: status 200 instead of 202"),
    ((401, "", "403"), "GET /status: status 403 instead of 401"),
    ((409, "", "202"), "POST /evaluate/queue: status 202 instead of 409"),
    ((422, "", "202"), "POST /validate/queue: status 202 instead of 422"),
]


def test_the_client_names_the_first_difference(outside):
    for change, message in DIFFERENCES:
        done = outside(*change)
        assert done.returncode == 1, (change, done.stdout)
        assert message in done.stderr, (change, done.stderr)
