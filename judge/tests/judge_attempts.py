"""Attempts of a team: putting them into the queue, waiting for them, and an endpoint whose score is known."""

import math
import time
from threading import Event

import judge_endpoints as endpoints
import numpy as np
from judge_endpoints import answer, mask_of, png, reply, sends

from mipjudge import store
from mipjudge.runner import Worker
from mipjudge.sets import build_sets
from mipseg.metrics import dice_score


def submit(db, url, kind="validation", name="team"):
    team = store.local_team(db, name)[0]
    return team, store.enqueue(db, team, kind, url, (100, 1000))


def state(db, team, attempt):
    found = store.find_attempt(db, team, attempt.id)
    assert found is not None
    return found, store.results_of(db, found)


def judge_all(db, settings, url, kind="validation"):
    team, attempt = submit(db, url, kind)
    assert Worker(db, build_sets(settings), settings).run_one(Event())
    return state(db, team, attempt)


def shifted(cases, delay_s=0.0):
    """An endpoint whose masks are off by some pixels: a different Dice for each image. And the mean it should get."""
    answers, scores = {}, []
    for number, case in enumerate(cases):
        mask = np.roll(case.mask, number % 12, axis=1)
        answers[case.image.tobytes()] = reply(png(mask_of(mask)))
        scores.append(dice_score(case.mask, mask))

    def make(body):
        time.sleep(delay_s)
        return answer(answers[endpoints.image_key(body)])

    return sends(make), math.fsum(scores) / len(scores)


def cases_of(image_set):
    return [image_set.case(position) for position in range(len(image_set))]


def wait_until(condition, process=None, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        assert process is None or process.poll() is None
        time.sleep(0.02)
