"""The judge's answers, read with care: another implementation may leave out, add or mistype fields."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from mipseg.client.errors import AnswerError
from mipseg.http.json_body import REPLY_PARTS, JsonError, read_json
from mipseg.http.problem_codes import PROBLEMS, code_of

Redact = Callable[[str], str]
"""Takes the token out of a text, and what a terminal would obey."""


class Kind(StrEnum):
    """The two kinds of attempts."""

    VALIDATION = "validation"
    EVALUATION = "evaluation"


class Status(StrEnum):
    """Where an attempt stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


# Other clients of the championship know other words.
_STATES = {
    **{status.value: status for status in Status},
    "pending": Status.QUEUED,
    "started": Status.RUNNING,
    "processing": Status.RUNNING,
    "completed": Status.DONE,
    "error": Status.FAILED,
    "cancelled": Status.FAILED,
}


@dataclass(frozen=True)
class Attempt:
    """An attempt as the judge tells it; what the judge leaves out is None.

    Attributes:
        uuid: 32 hexadecimal digits.
        progress: images that are scored, and images in all; for judges that tell.
        score: mean Dice over the set.
        page: where it can be looked at, for judges that tell.
    """

    uuid: str
    type: Kind
    status: Status
    position_in_queue: int | None = None
    progress: tuple[int, int] | None = None
    score: float | None = None
    errors: tuple[str, ...] = ()
    service_url: str | None = None
    enqueued_at: str | None = None
    submitted_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    page: str | None = None

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in (Status.DONE, Status.FAILED)


@dataclass(frozen=True)
class Verification:
    """What the judge found at the endpoint."""

    can_connect: bool
    can_predict: bool
    response_status_code: int | None
    message: str


def parse_uuid(text: object) -> str | None:
    """Bring a UUID to 32 hexadecimal digits; None if it is not one."""
    digits = str(text).strip().replace("-", "").lower()
    if len(digits) != 32 or not set(digits) <= set("0123456789abcdef"):
        return None
    return UUID(digits).hex


def parse_json(content: bytes) -> dict[str, Any]:
    """Read a body that must be a JSON object."""
    try:
        found = read_json(content, REPLY_PARTS)
    except JsonError as error:
        raise AnswerError(f"the judge's answer: {error}; is EVAL_API_URL the judge's address?") from None
    if not isinstance(found, dict):
        raise _shape("it is not a JSON object")
    return found


def read_detail(content: bytes, redact: Redact) -> str:
    """What an error's body says, in whichever of the usual forms; empty if nothing."""
    try:
        return _message(parse_json(content), redact)
    except AnswerError:
        return ""


def read_code(content: bytes, status: int) -> str | None:
    """The code of an error's body, if it is one of ours and says more than the status."""
    try:
        code = parse_json(content).get("code")
    except AnswerError:
        return None
    return code if isinstance(code, str) and code in PROBLEMS and code != code_of(status) else None


def read_verification(answer: dict[str, Any], redact: Redact) -> Verification:
    """Read the answer of the connection test."""
    can_connect, can_predict = answer.get("can_connect"), answer.get("can_predict", False)
    if not isinstance(can_connect, bool) or not isinstance(can_predict, bool):
        raise _shape("`can_connect` and `can_predict` must be true or false")
    message = _message(answer.get("detail"), redact)
    return Verification(can_connect, can_predict, _whole(answer.get("response_status_code")), message)


def read_submission(answer: dict[str, Any], kind: Kind, redact: Redact) -> Attempt:
    """Read the answer to a submission."""
    uuid = parse_uuid(answer.get("queued_attempt_uuid"))
    if uuid is None:
        raise _shape("`queued_attempt_uuid` is not a UUID")
    return read_attempt(answer, uuid, kind, redact)


def read_attempt(answer: dict[str, Any], uuid: str, kind: Kind, redact: Redact) -> Attempt:
    """Read where an attempt stands; its details may lie in `attempt` or beside the status."""
    word = answer.get("status")
    status = _STATES.get(word.strip().lower()) if isinstance(word, str) else None
    if status is None:
        raise _shape(f"`status` is {redact(repr(word))[:40]}, not one of {', '.join(Status)}")
    details = answer.get("attempt")
    fields = {**answer, **(details if isinstance(details, dict) else {})}
    errors = fields.get("errors") or fields.get("error") or []

    def text(name: str) -> str | None:
        return redact(fields[name]) if isinstance(fields.get(name), str) else None

    return Attempt(
        uuid=uuid,
        type=Kind(answer["type"]) if answer.get("type") in list(Kind) else kind,
        status=status,
        position_in_queue=_whole(answer.get("position_in_queue")),
        progress=_progress(fields.get("progress")),
        score=_score(fields.get("score")),
        errors=tuple(_as_text(entry, redact) for entry in (errors if isinstance(errors, list) else [errors])),
        service_url=text("service_url"),
        enqueued_at=text("enqueued_at"),
        submitted_at=text("submitted_at"),
        started_at=text("started_at"),
        finished_at=text("finished_at"),
    )


def _shape(what: str) -> AnswerError:
    return AnswerError(f"the judge's answer has an unexpected form: {what}")


def _message(found: object, redact: Redact) -> str:
    for _ in range(4):  # {"detail": [{"msg": ...}]}, {"detail": {"message": ...}}, problem+json
        if isinstance(found, list):
            found = found[0] if found else ""
        elif isinstance(found, dict):
            found = next((found[key] for key in ("detail", "message", "msg", "error", "title") if found.get(key)), "")
    return redact(found) if isinstance(found, str) else ""


def _as_text(value: object, redact: Redact) -> str:
    return redact(value if isinstance(value, str) else json.dumps(value))


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _progress(value: object) -> tuple[int, int] | None:
    """Read `{"done": 37, "total": 200}`, an addition to the protocol that a judge may make."""
    if not isinstance(value, dict):
        return None
    done, total = _whole(value.get("done")), _whole(value.get("total"))
    return (done, total) if done is not None and total and 0 <= done <= total else None


def _score(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e9 < value < 1e9:  # nor NaN
        raise _shape("`score` is not a number")
    return float(value)
