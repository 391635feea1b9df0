"""The workers: claim an attempt, send its images, write each score at once, and go on where a dead worker stopped."""

import asyncio
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from uuid import uuid4

import structlog
from sqlalchemy.exc import SQLAlchemyError

from mipjudge import attempt_queue
from mipjudge.attempt_queue import Job
from mipjudge.database import Database
from mipjudge.errors import LeaseLostError
from mipjudge.models import VALIDATION
from mipjudge.scoring import request_body, score_reply
from mipjudge.sender import UNREACHABLE, Reply, Sender
from mipjudge.sets import ImageSet, Sets
from mipjudge.settings import JudgeSettings
from mipjudge.target import AddressPolicy
from mipseg.errors import DatasetError
from mipseg.types import BinaryMask

DOWN_AFTER = 5  # images at the start that reach nobody; then the endpoint is down
_DOWN = {UNREACHABLE, "unresolvable", "address-refused"}
Prepared = tuple[int, "asyncio.Task[tuple[BinaryMask, bytes]]"]  # an image's position, and it once it is read
_IDLE_S = 0.5  # between two looks into the queue
_log = structlog.get_logger()


class _StoppedError(Exception):
    """The process ends; whoever comes next goes on with the attempt."""


class _EndpointDownError(Exception):
    """Nobody answers at the endpoint."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Worker:
    """Judges one attempt after another.

    Args:
        db: where the queue is.
        sets: what is sent.
        settings: deadlines and limits.
        policy: which addresses may be called; None: as the settings say.
    """

    def __init__(self, db: Database, sets: Sets, settings: JudgeSettings, policy: AddressPolicy | None = None) -> None:
        self._db, self._sets, self._settings = db, sets, settings
        self._policy = policy or AddressPolicy(settings.allowed_networks)
        self.name = f"{socket.gethostname()[:64]}-{os.getpid()}-{uuid4().hex[:8]}"

    def run(self, stop: Event) -> None:
        """Work until told to stop; a database that is away for a while is waited for."""
        while not stop.is_set():
            try:
                if self.run_one(stop):
                    continue
            except SQLAlchemyError as error:  # the lease runs out, and the attempt is claimed again
                _log.warning("judge_database", error=type(error).__name__)
            stop.wait(_IDLE_S)

    def run_one(self, stop: Event) -> bool:
        """Judge the next attempt.

        Returns:
            Whether there was one.
        """
        job = attempt_queue.claim(self._db, self.name, self._settings.lease_s)
        if job is None:
            return False
        log = _log.bind(attempt=job.id, kind=job.kind, fence=job.fence)
        log.info("attempt_claimed", saved=len(job.saved))
        try:
            failure = self._judge(job, stop)
            if failure is None:
                log.info("attempt_done", score=round(attempt_queue.finish(self._db, job), 4))
            else:
                attempt_queue.fail(self._db, job, failure)
                log.info("attempt_failed", reason=failure)
        except LeaseLostError:
            log.warning("attempt_lost")
        except _StoppedError:
            attempt_queue.release(self._db, job)
            log.info("attempt_released")
        return True

    def _judge(self, job: Job, stop: Event) -> str | None:
        """Score every image that has no score; the reason if the attempt has to be given up."""
        images = self._sets.of(job.kind)
        if job.image_set not in (None, images.fingerprint):
            return "set-changed"
        attempt_queue.begin(self._db, job, images.fingerprint, len(images))
        try:
            asyncio.run(self._supervise(_Run(self._db, job, images, self._settings, self._policy), job, stop))
        except _EndpointDownError as error:
            return error.reason
        except (LeaseLostError, _StoppedError, SQLAlchemyError):
            raise
        except DatasetError:
            _log.exception("set_unreadable")
            return "set-unreadable"
        except Exception as error:  # must not be claimed again and again
            _log.error("attempt_broken", error=type(error).__name__)
            return "internal-error"
        return None

    async def _supervise(self, run: "_Run", job: Job, stop: Event) -> None:
        """Score; end at once when the lease is lost or the process is to stop."""
        # Enough threads that no image's clock runs while it waits for one.
        threads = ThreadPoolExecutor(2 * self._settings.concurrency + 4, "judge")
        asyncio.get_running_loop().set_default_executor(threads)
        tasks = [asyncio.create_task(work) for work in (run.score_all(), self._heartbeat(job), _watch(stop))]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            task.result()

    async def _heartbeat(self, job: Job) -> None:
        while True:
            await asyncio.sleep(self._settings.lease_s / 3)
            try:
                await asyncio.to_thread(attempt_queue.renew_lease, self._db, job, self._settings.lease_s)
            except SQLAlchemyError as error:  # the next beat may succeed; if none does, the lease is lost
                _log.warning("judge_database", error=type(error).__name__)


class _Run:
    """One claim's way through the images."""

    def __init__(
        self, db: Database, job: Job, images: ImageSet, settings: JudgeSettings, policy: AddressPolicy
    ) -> None:
        self._db, self._job, self._images, self._settings = db, job, images, settings
        self._sender = Sender(policy, settings)
        self._reasons = list(job.saved.values())

    async def score_all(self) -> None:
        """First one image alone as a probe, then at most `concurrency` at a time."""
        waiting = iter([place for place in range(len(self._images)) if place not in self._job.saved])

        def prepare_next() -> Prepared | None:
            place = next(waiting, None)
            return None if place is None else (place, asyncio.create_task(asyncio.to_thread(self._prepare, place)))

        async def work() -> None:
            ready, scoring = prepare_next(), None
            try:
                while ready is not None:
                    place, task = ready
                    reference, body = await task
                    ready = prepare_next()  # is read while this one is under way
                    reply = await self._sender.send(self._job.url, body)
                    if scoring is not None:
                        await scoring
                    scoring = asyncio.create_task(self._score(place, reference, reply))  # while the next is under way
                if scoring is not None:
                    await scoring
            finally:
                if scoring is not None:
                    scoring.cancel()

        async with self._sender:
            if (probe := prepare_next()) is not None:
                reference, body = await probe[1]
                await self._score(probe[0], reference, await self._sender.send(self._job.url, body))
            workers = [asyncio.create_task(work()) for _ in range(self._settings.concurrency)]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()

    async def _score(self, place: int, reference: BinaryMask, reply: Reply) -> None:
        # All slow work in threads: a blocked loop would make a reply late that came in time.
        def score_and_save() -> str | None:
            scored = score_reply(reference, reply, keep_mask=self._job.kind == VALIDATION)
            attempt_queue.save(self._db, self._job, place, scored, self._settings.lease_s)
            return scored.reason

        self._reasons.append(await asyncio.to_thread(score_and_save))
        if len(self._reasons) <= DOWN_AFTER:
            down = set(self._reasons) <= _DOWN and len(self._reasons) >= min(DOWN_AFTER, len(self._images))
            if down:
                raise _EndpointDownError(str(self._reasons[-1]))

    def _prepare(self, place: int) -> tuple[BinaryMask, bytes]:
        reference, image = self._images.load(place)
        return reference, request_body(image)


async def _watch(stop: Event) -> None:
    while not stop.is_set():
        await asyncio.sleep(0.1)
    raise _StoppedError


class WorkerPool:
    """Workers in threads of this process.

    Args:
        workers: which.
    """

    def __init__(self, workers: list[Worker]) -> None:
        self._stop = Event()
        self._threads = [Thread(target=worker.run, args=(self._stop,), name="judge", daemon=True) for worker in workers]

    def start(self) -> None:
        """Let them work."""
        for thread in self._threads:
            thread.start()

    def stop(self, wait_s: float = 5.0) -> None:
        """Let them put their attempts back and end."""
        self._stop.set()
        for thread in self._threads:
            thread.join(wait_s)
