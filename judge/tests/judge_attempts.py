"""Attempts of a team: putting them into the queue, waiting for them, and an endpoint whose score is known."""

import math
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from threading import Event

import judge_endpoints as endpoints
import numpy as np
from judge_endpoints import Handler, answer, mask_of, png, reply, sends

from mipjudge import attempt_queue, store
from mipjudge.attempt_queue import Claim
from mipjudge.database import Database
from mipjudge.models import Attempt, Result, Team
from mipjudge.runner import Worker
from mipjudge.sets import ImageSet, build_sets
from mipjudge.settings import JudgeSettings
from mipseg.io.dataset import Case
from mipseg.metrics import dice_score


def submit(db: Database, url: str, kind: str = "validation", name: str = "team") -> tuple[Team, Attempt]:
    team = store.local_team(db, name)[0]
    return team, store.enqueue(db, team, kind, url, (100, 1000))


def state(db: Database, team: Team, attempt: Attempt) -> tuple[Attempt, list[Result]]:
    found = store.find_attempt(db, team, attempt.id)
    assert found is not None
    return found, store.results_of(db, found)


def claimed(db: Database, worker: str = "w") -> Claim:
    """Claim an attempt that has to be there."""
    claim = attempt_queue.claim_next(db, worker, 30)
    assert claim is not None
    return claim


def judge_all(
    db: Database, settings: JudgeSettings, url: str, kind: str = "validation"
) -> tuple[Attempt, list[Result]]:
    team, attempt = submit(db, url, kind)
    assert Worker(db, build_sets(settings), settings).run_one(Event())
    return state(db, team, attempt)


def shifted(cases: list[Case], delay_s: float = 0.0) -> tuple[Handler, float]:
    """An endpoint whose masks are off by some pixels: a different Dice for each image. And the mean it should get."""
    answers, scores = {}, []
    for number, case in enumerate(cases):
        mask = np.roll(case.mask, number % 12, axis=1)
        answers[case.image.tobytes()] = reply(png(mask_of(mask)))
        scores.append(dice_score(case.mask, mask))

    def make(body: bytes) -> bytes:
        time.sleep(delay_s)
        return answer(answers[endpoints.image_key(body)])

    return sends(make), math.fsum(scores) / len(scores)


def cases_of(image_set: ImageSet) -> list[Case]:
    return [image_set.case(position) for position in range(len(image_set))]


def wait_until(condition: Callable[[], bool], process: BaseProcess | None = None, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        assert process is None or process.is_alive()
        time.sleep(0.02)
