"""The shapes of the championship's protocol."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from mipjudge import attempt_queue, store
from mipjudge.about import read_about
from mipjudge.database import Database
from mipjudge.models import DONE, EVALUATION, FAILED, QUEUED, RUNNING, Attempt, Result
from mipjudge.sets import describe_images
from mipseg.http.problem_codes import PROBLEMS

USECASE = "tumor-segmentation"
MAX_ERRORS = 200
DIGITS = 4
_OTHER_WORDS = {QUEUED: "queued", RUNNING: "running", DONE: "completed", FAILED: "error"}


def iso(seconds: float | None) -> str | None:
    """Seconds since 1970 as ISO 8601 with offset."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def published(score: float | None) -> float | None:
    """A score as others see it, with four decimals."""
    return None if score is None else round(score, DIGITS)


def attempt_answer(db: Database, attempt: Attempt, results: list[Result] | None = None) -> dict[str, Any]:
    """An attempt as the protocol shows it, with `progress` and `page` as additions.

    Args:
        db: where the queue is.
        attempt: which.
        results: of its images so far; None: they are read if there are any.
    """
    answer: dict[str, Any] = {
        "team_uuid": attempt.team_id,
        "usecase_name": USECASE,
        "queued_attempt_uuid": attempt.id,
        "type": attempt.kind,
        "status": attempt.status,
        "position_in_queue": attempt_queue.position_in_queue(db, attempt),
        "enqueued_at": iso(attempt.enqueued_at),
        "page": f"/attempts/{attempt.id}",
    }
    if attempt.started_at is not None or attempt.status == FAILED:
        results = store.results_of(db, attempt) if results is None else results
        answer["attempt"] = run_answer(attempt, results)
        if attempt.total is not None:
            answer["progress"] = {"done": len(results), "total": attempt.total}
    return answer


def run_answer(attempt: Attempt, results: list[Result]) -> dict[str, Any]:
    """The attempt object alone: times, address, score, errors, which images, and what the endpoint said of itself."""
    endpoint = endpoint_of(attempt)
    errors = _errors(attempt, results)
    if endpoint["changed"]:
        errors.append(_named("endpoint-changed"))
    return {
        "submitted_at": iso(attempt.enqueued_at),
        "started_at": iso(attempt.started_at),
        "finished_at": iso(attempt.finished_at),
        "service_url": attempt.url,
        "score": published(attempt.score),
        "errors": errors,
        "set": None if attempt.total is None else describe_images(attempt.source, attempt.total),
        "endpoint": endpoint,
    }


def endpoint_of(attempt: Attempt) -> dict[str, Any]:
    """What the endpoint said at `/api` before the first and after the last image, and whether that differs.

    What it said at one of the times only, such as a model that was loaded meanwhile, is not a difference.
    """
    start, end = (read_about(text) if text else None for text in (attempt.api_start, attempt.api_end))
    before, after = start or {}, end or {}
    pairs = [(before[name], after[name]) for name in before.keys() & after.keys()]
    changed = any(one != other for one, other in pairs if one is not None and other is not None)
    return {"start": start, "end": end, "changed": changed}


def listed_answer(attempt: Attempt) -> dict[str, Any]:
    """An attempt as `/status` lists it."""
    return {
        "queued_attempt_uuid": attempt.id,
        "type": attempt.kind,
        "status": attempt.status,
        "score": published(attempt.score),
        "submitted_at": iso(attempt.enqueued_at),
        "started_at": iso(attempt.started_at),
        "finished_at": iso(attempt.finished_at),
        "service_url": attempt.url,
    }


def other_answer(db: Database, attempt: Attempt) -> dict[str, Any]:
    """An attempt in the words of other clients: `completed` and `error`."""
    results = store.results_of(db, attempt)
    errors = _errors(attempt, results)
    return {
        "id": attempt.id,
        "type": attempt.kind,
        "status": _OTHER_WORDS[attempt.status],
        "score": published(attempt.score),
        "progress": {"done": len(results), "total": attempt.total or 0},
        "error": errors[0] if errors and attempt.status == FAILED else None,
        "created_at": iso(attempt.enqueued_at),
        "finished_at": iso(attempt.finished_at),
    }


def _named(code: str) -> str:
    return f"{code}: {PROBLEMS[code].title}"


def _errors(attempt: Attempt, results: list[Result]) -> list[str]:
    if attempt.failure is not None:
        return [_named(attempt.failure)]
    faults = [result for result in results if result.reason]
    if attempt.kind == EVALUATION:  # which images of the test set they were stays here
        counts = sorted(Counter(str(result.reason) for result in faults).items())
        return [f"{reason}: {count} {'image' if count == 1 else 'images'}" for reason, count in counts]
    return [f"image {result.position + 1}: {why(result)}" for result in faults[:MAX_ERRORS]]


def why(result: Result) -> str:
    """Why an image scored 0: the reason's code and what there is to say about it."""
    code = str(result.reason)
    return f"{code}: {result.detail}" if result.detail else _named(code)
