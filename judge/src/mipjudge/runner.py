"""The workers: claim attempts, judge them image by image in turns, and go on where a dead worker stopped."""

import asyncio
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from uuid import uuid4

import structlog
from sqlalchemy.exc import SQLAlchemyError

from mipjudge import attempt_queue
from mipjudge.attempt_queue import Claim
from mipjudge.attempt_run import AttemptRun, DiskError, EndpointDownError, in_thread
from mipjudge.database import Database
from mipjudge.errors import LeaseLostError
from mipjudge.sender import Sender
from mipjudge.sets import Sets
from mipjudge.settings import JudgeSettings
from mipjudge.target import AddressPolicy
from mipseg.errors import DatasetError

_IDLE_S = 0.5  # between two looks into the queue
_DISK_S = 5.0  # until the queue is looked into again after the disk was full
_log = structlog.get_logger()


class _StoppedError(Exception):
    """The process ends; whoever comes next goes on with the attempt."""


class Worker:
    """Judges several attempts at once, whose images take turns: a team whose endpoint hangs holds up nobody for long.

    Args:
        db: where the queue is.
        sets: what is sent.
        settings: deadlines and limits.
        policy: which addresses may be called; None: as the settings say.
    """

    def __init__(self, db: Database, sets: Sets, settings: JudgeSettings, policy: AddressPolicy | None = None) -> None:
        self._db, self._sets, self._settings = db, sets, settings
        self._policy = policy or AddressPolicy(settings.allowed_networks)
        self._paused_until = 0.0  # by the event loop's clock
        self.name = f"{socket.gethostname()[:64]}-{os.getpid()}-{uuid4().hex[:8]}"

    def run(self, stop: Event) -> None:
        """Work until told to stop; a database that is away for a while is waited for."""
        asyncio.run(self._work(stop))

    def run_one(self, stop: Event) -> bool:
        """Judge the next attempt alone.

        Returns:
            Whether there was one.
        """
        claim = attempt_queue.claim_next(self._db, self.name, self._settings.lease_s)
        if claim is None:
            return False
        asyncio.run(self._alone(claim, stop))
        return True

    async def _alone(self, claim: Claim, stop: Event) -> None:
        self._make_threads(1)
        await self._attempt(claim, stop, asyncio.Semaphore(self._settings.concurrency))

    async def _work(self, stop: Event) -> None:
        self._make_threads(self._settings.attempts)
        turns = asyncio.Semaphore(self._settings.concurrency)  # whoever waits longest is next
        running: dict[asyncio.Task[None], str] = {}
        while not stop.is_set():
            claim = await self._claim_next(list(running.values()))
            if claim is not None:
                running[asyncio.create_task(self._attempt(claim, stop, turns))] = claim.id
                continue
            idle = asyncio.create_task(asyncio.to_thread(stop.wait, _IDLE_S))
            done, _ = await asyncio.wait({idle, *running}, return_when=asyncio.FIRST_COMPLETED)
            running = {task: attempt_id for task, attempt_id in running.items() if task not in done}
        await asyncio.gather(*running)

    def _make_threads(self, attempts: int) -> None:
        # Enough threads that no image's clock runs while it waits for one.
        threads = ThreadPoolExecutor(attempts * (2 * self._settings.concurrency + 4), "judge")
        asyncio.get_running_loop().set_default_executor(threads)

    async def _claim_next(self, running: list[str]) -> Claim | None:
        if len(running) >= self._settings.attempts or asyncio.get_running_loop().time() < self._paused_until:
            return None
        try:
            lease_s = self._settings.lease_s
            return await asyncio.to_thread(attempt_queue.claim_next, self._db, self.name, lease_s, running)
        except SQLAlchemyError as error:
            _log.warning("judge_database", error=type(error).__name__)
            return None

    async def _attempt(self, claim: Claim, stop: Event, turns: asyncio.Semaphore) -> None:
        log = _log.bind(attempt=claim.id, kind=claim.kind, fence=claim.fence)
        log.info("attempt_claimed", saved=len(claim.saved))
        try:
            failure = await self._judge(claim, stop, turns)
            if failure is None:
                score = await asyncio.to_thread(attempt_queue.finish, self._db, claim)
                log.info("attempt_done", score=round(score, 4))
            else:
                await asyncio.to_thread(attempt_queue.fail, self._db, claim, failure)
                log.info("attempt_failed", reason=failure)
        except LeaseLostError:
            log.warning("attempt_lost")
        except _StoppedError:
            await self._give_back(attempt_queue.release, claim)
            log.info("attempt_released")
        except DiskError as error:
            self._paused_until = asyncio.get_running_loop().time() + _DISK_S
            await self._give_back(attempt_queue.put_back, claim)
            log.error("attempt_put_back", error=str(error))
        except SQLAlchemyError as error:  # the lease runs out, and the attempt is claimed again
            log.warning("judge_database", error=type(error).__name__)

    async def _give_back(self, how: Callable[[Database, Claim], None], claim: Claim) -> None:
        try:
            await asyncio.to_thread(how, self._db, claim)
        except (LeaseLostError, SQLAlchemyError) as error:  # then the lease runs out
            _log.warning("attempt_not_given_back", error=type(error).__name__)

    async def _judge(self, claim: Claim, stop: Event, turns: asyncio.Semaphore) -> str | None:
        """Score every image that has no score; the reason if the attempt has to be given up."""
        images = self._sets.of(claim.kind)
        if claim.image_set not in (None, images.fingerprint):
            return "set-changed"
        await asyncio.to_thread(attempt_queue.begin, self._db, claim, self._sets.images(claim.kind))
        try:
            async with Sender(self._policy, self._settings) as sender:
                run = AttemptRun(self._db, claim, images, sender, self._settings, turns)
                await self._supervise(run, claim, stop)
        except EndpointDownError as error:
            return error.reason
        except (LeaseLostError, _StoppedError, DiskError, SQLAlchemyError):
            raise
        except DatasetError:
            _log.exception("set_unreadable")
            return "set-unreadable"
        except Exception as error:  # must not be claimed again and again
            _log.error("attempt_broken", error=type(error).__name__)
            return "internal-error"
        return None

    async def _supervise(self, run: AttemptRun, claim: Claim, stop: Event) -> None:
        """Score; end at once when the lease is lost or the process is to stop."""
        tasks = [asyncio.create_task(work) for work in (run.score_all(), self._heartbeat(claim), _watch(stop))]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            task.result()

    async def _heartbeat(self, claim: Claim) -> None:
        while True:
            await asyncio.sleep(self._settings.lease_s / 3)
            try:
                await in_thread(lambda: attempt_queue.renew_lease(self._db, claim, self._settings.lease_s))
            except SQLAlchemyError as error:  # the next beat may succeed; if none does, the lease is lost
                _log.warning("judge_database", error=type(error).__name__)


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
