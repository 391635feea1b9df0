"""What the commands print: results on stdout, everything else on stderr; and what they end with."""

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from mipseg.client.answers import Attempt, Status, Verification
from mipseg.client.errors import ClientError, StoppedError
from mipseg.client.follow import describe_state
from mipseg.constants import PORT

MAX_ERRORS = 5
MAX_PORT = 65535
EXIT_CODES = "exit codes: 0 done, 1 the attempt or the test prediction failed, 2 wrong use or no connection, 130 Ctrl-C"
SETTINGS = (
    f"settings (environment or .env): EVAL_API_URL (default: http://localhost:{PORT}), EVAL_API_TOKEN, "
    f"TUMOR_SEGMENTATION_SERVICE_URL (default: http://localhost:{PORT}/predict)"
)


def make_parser(prog: str, description: str) -> ArgumentParser:
    """A parser with what both commands share."""
    parser = ArgumentParser(prog=prog, description=description, epilog=f"{SETTINGS}; {EXIT_CODES}")
    parser.add_argument("--wait", action="store_true", help="follow the attempt until its score, with a progress bar")
    parser.add_argument(
        "--port",
        type=_port,
        default=PORT,
        help="where `api` serves on this machine, for what is not set (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_PORT:
        raise ArgumentTypeError(f"{text!r} is not a port; give a number from 1 to {MAX_PORT}")
    return int(text)


def how_to_go_on(uuid: str) -> str:
    """The command that asks for an attempt."""
    return f"uv run check-status {uuid}"


class Output:
    """Prints for people or, with `as_json`, one object for scripts."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def say(self, text: str) -> None:
        """A line of the result; not in JSON."""
        if not self._as_json:
            # A terminal with few letters must not turn a server's name into an error.
            encoding = sys.stdout.encoding or "utf-8"
            sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
            sys.stdout.flush()

    def note(self, text: str) -> None:
        """A line beside the result."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def submitted(self, attempt: Attempt, *, last: bool) -> None:
        """An attempt was queued; with `last`, that is all there is to print."""
        lines = [
            f"{attempt.type} {attempt.uuid}: {describe_state(attempt)}",
            f"follow it with: {how_to_go_on(attempt.uuid)}",
        ]
        if attempt.page:
            lines.append(f"look at it at: {attempt.page}")
        for line in lines:
            self.say(line)
        if self._as_json and not last:
            self.note("\n".join(lines))
        if last:
            self._object(asdict(attempt))

    def attempt(self, attempt: Attempt) -> int:
        """Where an attempt stands; returns the exit code."""
        text = describe_state(attempt)
        if attempt.progress and not attempt.over:
            text += f", {attempt.progress[0]} of {attempt.progress[1]} images"
        if attempt.score is not None:
            text += f", mean Dice {attempt.score:.4f}"
        elif attempt.status is Status.DONE:
            text += ", but the judge does not tell the score"
        self.say(f"{attempt.type} {attempt.uuid}: {text}")
        for error in attempt.errors[:MAX_ERRORS]:
            self.say(f"  {error}")
        if len(attempt.errors) > MAX_ERRORS:
            self.say(f"  and {len(attempt.errors) - MAX_ERRORS} more")
        self._object(asdict(attempt))
        return 1 if attempt.status is Status.FAILED else 0

    def verification(self, found: Verification, service_url: str) -> int:
        """The result of the connection test; returns the exit code."""
        code, text, exit_code = None, f"the judge got a prediction from {service_url}", 0
        tail = f" (status {found.response_status_code})" if found.response_status_code is not None else ""
        if not found.can_connect:
            code, text, exit_code = "endpoint-unreachable", f"the judge can't connect to {service_url}{tail}", 2
        elif not found.can_predict:
            code, exit_code = "endpoint-no-prediction", 1
            text = f"the judge connects to {service_url}, but gets no prediction from it{tail}"
        text += f": {found.message}" if found.message else ""
        self._object({"service_url": service_url, **asdict(found), **({"error": code} if code else {})})
        if code:
            self.note(f"error: {text}")
        else:
            self.say(text)
        return exit_code

    def error(self, error: ClientError) -> int:
        """What went wrong; returns the exit code."""
        text = str(error)
        if error.uuid:
            text += f"; {error.hint}: {how_to_go_on(error.uuid)}"
        self.note(text if isinstance(error, StoppedError) else f"error: {text}")
        self._object({"error": error.code, "message": text, **({"uuid": error.uuid} if error.uuid else {})})
        return error.exit_code

    def _object(self, content: dict[str, Any]) -> None:
        if self._as_json:
            sys.stdout.write(json.dumps(content) + "\n")
            sys.stdout.flush()


def run(output: Output, command: Callable[[], int]) -> int:
    """Run a command and turn whatever happens into a line and an exit code."""
    try:
        return command()
    except ClientError as error:
        return output.error(error)
    except KeyboardInterrupt:
        return output.error(StoppedError())
    except Exception as error:  # its text or its trace might hold the token
        return output.error(ClientError("internal", f"unexpected {type(error).__name__}; please report it"))
