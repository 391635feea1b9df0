"""`make bench-judge`: what the judge adds to each image, a whole set against a service, and twenty teams at once."""

import argparse
import base64
import multiprocessing
import os
import struct
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from threading import Event

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # for `judge_endpoints`

from judge_endpoints import Endpoint, answer, png, reply, sends

from mipjudge import store
from mipjudge.database import Database
from mipjudge.runner import Worker
from mipjudge.sets import Sets, build_sets
from mipjudge.settings import JudgeSettings

PNG_HEADER = len('{"img":"'), 32  # where a request's base64 holds the picture's signature and size


@cache
def empty(width: int, height: int) -> bytes:
    return answer(reply(png(np.zeros((height, width, 3), np.uint8))))


def instant(body: bytes) -> bytes:
    begin, length = PNG_HEADER
    return empty(*struct.unpack(">II", base64.b64decode(body[begin : begin + length])[16:24]))


def serve(connection) -> None:
    with Endpoint(sends(instant)) as endpoint:
        connection.send(endpoint.url)
        connection.recv()


def judge_one(db: Database, sets: Sets, settings: JudgeSettings, url: str, name: str) -> tuple[float, float, float]:
    """Seconds of one validation, those that were waiting for the endpoint, and the score."""
    team = store.local_team(db, name)[0]
    attempt = store.enqueue(db, team, "validation", url, (1000, 10_000))
    started = time.perf_counter()
    Worker(db, sets, settings).run_one(Event())
    seconds = time.perf_counter() - started
    found = store.find_attempt(db, team, attempt.id)
    assert found is not None
    assert found.status == "done", found.failure
    return seconds, sum(result.seconds for result in store.results_of(db, found)), found.score


def bench_order(db: Database, sets: Sets, settings: JudgeSettings, url: str) -> None:
    teams = [store.local_team(db, f"team {number:02}")[0] for number in range(20)]
    for _ in range(2):
        for team in teams:
            store.enqueue(db, team, "validation", url, (1000, 10_000))
    started, worker, order = time.perf_counter(), Worker(db, sets, settings), []
    for _ in range(40):
        worker.run_one(Event())
    with db.read() as session:
        rows = session.connection().exec_driver_sql(
            "SELECT t.name FROM attempts a JOIN teams t ON t.id = a.team_id"
            " WHERE t.name LIKE 'team%' ORDER BY a.started_at"
        )
        order = [row[0] for row in rows]
    fair = order[:20] == order[20:] == sorted(order[:20])
    print(f"20 teams, 2 attempts each: {time.perf_counter() - started:.1f} s, in turn: {'yes' if fair else 'NO'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--service", help="also judge this endpoint, such as http://127.0.0.1:8000/predict")
    parser.add_argument("--images", type=int, default=200)
    arguments = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    url = ours.recv()
    with tempfile.TemporaryDirectory() as folder:
        settings = JudgeSettings(_env_file=None, dir=Path(folder), set_size=arguments.images)
        db, sets = Database(settings.sqlalchemy_url), build_sets(settings)
        count = len(sets.validation)
        for place in range(count):
            sets.validation.load(place)  # phantoms are drawn once
        print(f"{count} images ({sets.source}), {os.cpu_count()} cores")
        for _ in range(3):
            cpu = time.process_time()
            seconds, waiting, _ = judge_one(db, sets, settings, url, "instant")
            cpu = time.process_time() - cpu
            each, own, busy = (1000 * value / count for value in (seconds, seconds - waiting, cpu))
            print(
                f"instant endpoint: {seconds:.2f} s, {each:.1f} ms per image, {own:.1f} of them outside of the request;"
                f" {busy:.1f} ms of processor"
            )
        if arguments.service:
            seconds, waiting, score = judge_one(db, sets, settings, arguments.service, "service")
            own = 1000 * (seconds - waiting) / count
            print(f"service: {seconds:.1f} s, {own:.1f} ms per image outside of the request, Dice {score:.4f}")
        small = settings.model_copy(update={"set_size": 5})
        bench_order(db, build_sets(small), small, url)
        db.close()
    process.terminate()


if __name__ == "__main__":
    main()
