"""`make bench-judge`: what the judge adds to each image, a whole set against the real service, twenty teams at once.

The judge works in this process, the endpoints in others. Nothing else should run meanwhile.
"""

import asyncio
import base64
import json
import logging
import multiprocessing
import os
import platform
import shutil
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event

import numpy as np
import structlog
from bench.http_bench import service
from PIL import Image
from sqlalchemy import select

from mipjudge import store
from mipjudge.database import Database
from mipjudge.models import DONE, VALIDATION, Attempt, Team
from mipjudge.runner import Worker
from mipjudge.sets import PHANTOM_HEIGHTS, Sets, build_sets
from mipjudge.settings import JudgeSettings
from mipseg.io.codec import encode_request
from mipseg.phantom import make_phantom
from mipseg.settings import project_root

IMAGES, REPEATS = 200, 5
TEAMS, ATTEMPTS_EACH, IMAGES_OF_A_TEAM = 20, 2, 20
NO_LIMITS = (1000, 10_000)
SIZE_IN_BODY = slice(len('{"img":"'), len('{"img":"') + 32)  # base64 of a PNG's signature and size


def make_data_set(root: Path) -> None:
    """Twice `IMAGES` patients that are copies of ten phantoms: to draw that many would take minutes."""
    for part in ("imgs", "labels"):
        (root / "patients" / part).mkdir(parents=True)
    for number in range(2 * IMAGES):
        image, label = (root / f"patients/{name}_{number:03}.png" for name in ("imgs/patient", "labels/segmentation"))
        if number >= 10:
            for path in (image, label):
                shutil.copyfile(path.with_name(path.name.replace(f"{number:03}", f"{number % 10:03}")), path)
            continue
        phantom = make_phantom(number, height=PHANTOM_HEIGHTS[number % len(PHANTOM_HEIGHTS)])
        Image.fromarray(np.repeat(phantom.mip[:, :, None], 3, axis=2)).save(image)
        Image.fromarray(np.where(phantom.mask, 255, 0).astype(np.uint8)).save(label)


@cache
def empty_mask(width: int, height: int) -> bytes:
    """A whole HTTP answer."""
    content = json.dumps({"img": encode_request(np.zeros((height, width, 3), np.uint8))}).encode()
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


async def answer_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with an empty mask of the image's size."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    body = await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
    writer.write(empty_mask(*struct.unpack(">II", base64.b64decode(body[SIZE_IN_BODY])[16:])))
    await writer.drain()
    writer.close()


def serve(parent: Connection) -> None:
    """Tell the port and answer until it is ended."""

    async def run() -> None:
        server = await asyncio.start_server(answer_at_once, "127.0.0.1", 0, limit=2**24)
        parent.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def instant_endpoint() -> Iterator[str]:
    """Run an endpoint that answers at once; gives its URL."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/predict"
    finally:
        process.terminate()
        process.join()


def judge_one(db: Database, sets: Sets, settings: JudgeSettings, url: str) -> tuple[float, float]:
    """Judge one validation; gives its seconds and its score."""
    team = store.local_team(db, "team")[0]
    attempt = store.enqueue(db, team, VALIDATION, url, NO_LIMITS)
    started = time.perf_counter()
    Worker(db, sets, settings).run_one(Event())
    seconds = time.perf_counter() - started
    found = store.find_attempt(db, team, attempt.id)
    if found is None or found.status != DONE or found.score is None:
        sys.exit(f"the attempt failed: {found and found.failure}")
    return seconds, found.score


def bench_teams(db: Database, sets: Sets, settings: JudgeSettings, url: str) -> str:
    """Queue every team's attempts, one team after the other, and let one worker judge them."""
    for number in range(TEAMS):
        team = store.local_team(db, f"team {number:02}")[0]
        for _ in range(ATTEMPTS_EACH):
            store.enqueue(db, team, VALIDATION, url, NO_LIMITS)
    started, worker = time.perf_counter(), Worker(db, sets, settings)
    while worker.run_one(Event()):
        pass
    seconds = time.perf_counter() - started
    with db.read() as session:
        query = select(Team.name, Attempt.status).join(Attempt).where(Team.name != "team").order_by(Attempt.started_at)
        names, states = zip(*session.execute(query), strict=True)
    in_turn = list(names) == sorted(set(names)) * ATTEMPTS_EACH and set(states) == {DONE}
    each = seconds / len(names)
    return f"{seconds:.1f} s, {each:.2f} s per attempt, {'all done in turn' if in_turn else 'NOT IN TURN'}"


def main() -> None:
    """Measure and print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, SQLite; phantoms\n")
    with tempfile.TemporaryDirectory() as folder, instant_endpoint() as url:
        data_dir = Path(folder) / "data"
        make_data_set(data_dir)
        settings = JudgeSettings(dir=Path(folder), data_dir=data_dir, set_size=IMAGES)
        db, sets = Database(settings.sqlalchemy_url), build_sets(settings)
        times = sorted(judge_one(db, sets, settings, url)[0] for _ in range(REPEATS))
        middle = statistics.median(times)
        print(
            f"{IMAGES} images, instant endpoint: {middle:.2f} s, {1000 * middle / IMAGES:.1f} ms per image"
            f" (median of {REPEATS}; {times[0]:.2f} to {times[-1]:.2f} s)"
        )
        with service(project_root() / "segmentation") as (port, _, _):
            seconds, score = judge_one(db, sets, settings, f"http://127.0.0.1:{port}/tumor/predict")
        print(f"{IMAGES} images, the service: {seconds:.1f} s, {1000 * seconds / IMAGES:.0f} ms each, Dice {score:.3f}")
        few = settings.model_copy(update={"set_size": IMAGES_OF_A_TEAM})
        result = bench_teams(db, build_sets(few), few, url)
        print(f"{TEAMS} teams, {ATTEMPTS_EACH} attempts of {IMAGES_OF_A_TEAM} images each: {result}")
        db.close()


if __name__ == "__main__":
    main()
