"""A stand-in for the judge: real HTTP with the protocol's own examples, and whatever a test puts in their place."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CANARY = "canary-4711-TOKEN"
UUID = "8a9e5b3c0d1f4e2a9b7c6d5e4f3a2b1c"
DASHED = "8a9e5b3c-0d1f-4e2a-9b7c-6d5e4f3a2b1c"
USECASE = "/api/v1/usecases/tumor-segmentation"
VERIFY, VALIDATE, EVALUATE = (
    f"POST {USECASE}/verify",
    f"POST {USECASE}/validate/queue",
    f"POST {USECASE}/evaluate/queue",
)
VALIDATION, EVALUATION = f"GET {USECASE}/validate/queue/{UUID}", f"GET {USECASE}/evaluate/queue/{UUID}"
CANCEL_VALIDATION, CANCEL_EVALUATION = VALIDATION.replace("GET", "DELETE"), EVALUATION.replace("GET", "DELETE")
OTHER_STATUS, LOCAL_TEAM = f"GET /api/v1/validation/{UUID}", "POST /api/v1/local/team"

QUEUED = {
    "team_uuid": "0123456789abcdef0123456789abcdef",
    "usecase_name": "tumor-segmentation",
    "queued_attempt_uuid": UUID,
    "type": "validation",
    "status": "queued",
    "position_in_queue": 0,
    "enqueued_at": "2025-08-07T20:07:49.083910+00:00",
}
VERIFIED = {
    "can_connect": True,
    "can_predict": True,
    "sample": "iVBORw0KGgo=",
    "response": {"img": "iVBORw0KGgo="},
    "response_status_code": 200,
    "detail": {"message": "Successfully connected and received prediction."},
}


def attempt(status: str = "done", score: float | None = 0.71234567, **changes: Any) -> dict[str, Any]:
    """The protocol's answer once an attempt has started."""
    inner: dict[str, Any] = {
        "submitted_at": "2025-08-07T20:07:49.083910+00:00",
        "started_at": "2025-08-07T20:07:51.083910+00:00",
        "finished_at": "2025-08-07T20:13:51.083910+00:00",
        "service_url": "https://team.example/predict",
        "score": score,
        "errors": [],
    }
    return {**QUEUED, "status": status, "attempt": inner} | changes


@dataclass
class Answer:
    """What the stand-in does: an object to send as JSON, or bytes as they are; slowly, if a test wants."""

    content: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    before_s: float = 0.0
    between_bytes_s: float = 0.0
    cut: bool = False

    @property
    def body(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else json.dumps(self.content).encode()


@dataclass(frozen=True)
class Request:
    """What came in."""

    line: str
    host: str
    token: str | None
    body: Any
    secret: str | None = None


class StandIn:
    """The server; a context manager.

    Attributes:
        answers: what is answered to "METHOD path"; of several the last one is repeated.
        requests: everything that came in.
    """

    def __init__(self, wrap: Callable[[Any], Any] | None = None) -> None:
        self.answers: dict[str, list[Answer]] = {
            LOCAL_TEAM: [Answer({"token": CANARY}, 201)],
            VERIFY: [Answer(VERIFIED)],
            VALIDATE: [Answer(QUEUED)],
            EVALUATE: [Answer({**QUEUED, "type": "evaluation"})],
            VALIDATION: [Answer({**QUEUED, "status": "running"}), Answer(attempt())],
        }
        self.requests: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = False
        if wrap:
            self._server.socket = wrap(self._server.socket)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "StandIn":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def will(self, line: str, *answers: Answer) -> None:
        """Answer a call like this from now on."""
        self.answers[line] = list(answers)

    @property
    def lines(self) -> list[str]:
        """The calls so far, as "METHOD path"."""
        return [request.line for request in self.requests]

    def answer(self, request: Request) -> Answer:
        """Find the answer to a request."""
        if request.line != LOCAL_TEAM and request.token != CANARY:
            return Answer({"detail": "Invalid token"}, 401)
        left = self.answers.get(request.line)
        if not left:
            return Answer({"detail": "Not Found"}, 404)
        return left.pop(0) if len(left) > 1 else left[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 5

            def do_GET(self) -> None:
                path = self.path.partition("//")[2].partition("/")[2] if "//" in self.path else self.path[1:]
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                host, token = self.headers["Host"], self.headers["x-token"]
                content, secret = json.loads(sent) if sent else None, self.headers["x-local-secret"]
                request = Request(f"{self.command} /{path}", host, token, content, secret)
                stand_in.requests.append(request)
                self._send(stand_in.answer(request))

            do_POST = do_DELETE = do_GET  # noqa: N815 - the base class calls them so

            def _send(self, answer: Answer) -> None:
                time.sleep(answer.before_s)
                try:
                    self.send_response(answer.status)
                    headers = {"Content-Length": str(len(answer.body) + answer.cut)} | answer.headers
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    for part in [bytes([b]) for b in answer.body] if answer.between_bytes_s else [answer.body]:
                        self.wfile.write(part)
                        time.sleep(answer.between_bytes_s)
                except OSError:
                    pass  # the client had enough

            def log_message(self, *_: object) -> None:
                pass

        return Handler
