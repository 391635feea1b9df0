"""The shapes of the championship's protocol."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from mipjudge import store
from mipjudge.database import Database
from mipjudge.models import EVALUATION, Attempt, Result, Team
from mipseg.problem_codes import PROBLEMS

USECASE = "tumor-segmentation"
MAX_ERRORS = 200


def iso(seconds: float | None) -> str | None:
    """Seconds since 1970 as ISO 8601 with offset."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def attempt_answer(db: Database, team: Team, attempt: Attempt, results: list[Result] | None = None) -> dict[str, Any]:
    """An attempt as the protocol shows it, with `progress` as an addition.

    Args:
        db: where the queue is.
        team: whose attempt.
        attempt: which.
        results: of its images so far; None: they are read if there are any.
    """
    answer: dict[str, Any] = {
        "team_uuid": team.id,
        "usecase_name": USECASE,
        "queued_attempt_uuid": attempt.id,
        "type": attempt.kind,
        "status": attempt.status,
        "position_in_queue": store.position_in_queue(db, attempt),
        "enqueued_at": iso(attempt.enqueued_at),
    }
    if attempt.started_at is not None:
        results = store.results_of(db, attempt) if results is None else results
        answer["attempt"] = {
            "submitted_at": iso(attempt.enqueued_at),
            "started_at": iso(attempt.started_at),
            "finished_at": iso(attempt.finished_at),
            "service_url": attempt.url,
            "score": attempt.score,
            "errors": _errors(attempt, results),
        }
        if attempt.total is not None:
            answer["progress"] = {"done": len(results), "total": attempt.total}
    return answer


def _errors(attempt: Attempt, results: list[Result]) -> list[str]:
    reasons = [(result.position, result.reason) for result in results if result.reason]
    if attempt.failure is not None:
        return [f"{attempt.failure}: {PROBLEMS[attempt.failure].title}"]
    if attempt.kind == EVALUATION:  # which images of the test set they were stays here
        counts = sorted(Counter(reason for _, reason in reasons).items())
        return [f"{reason}: {count} {'image' if count == 1 else 'images'}" for reason, count in counts]
    return [f"image {position + 1}: {reason}" for position, reason in reasons[:MAX_ERRORS]]
