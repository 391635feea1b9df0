"""One claim's way through an attempt's images: send each, score the reply, write the score at once."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from mipjudge import attempt_queue
from mipjudge.attempt_queue import Claim
from mipjudge.database import Database
from mipjudge.models import VALIDATION
from mipjudge.scoring import score_reply
from mipjudge.sender import TIMEOUT, UNREACHABLE, Reply, Sender
from mipjudge.sets import ImageSet
from mipjudge.settings import JudgeSettings
from mipseg.endpoint.reply import request_body
from mipseg.types import BinaryMask

DOWN_AFTER = 5  # images at the start that reach nobody, or images in a row that time out; then the endpoint is down
_DOWN = {UNREACHABLE, "unresolvable", "address-refused"}
T = TypeVar("T")
Prepared = tuple[int, "asyncio.Task[tuple[BinaryMask, bytes]]"]  # an image's position, and it once it is read


class EndpointDownError(Exception):
    """Nobody answers at the endpoint, or never in time."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DiskError(Exception):
    """An image can't be drawn or read for now, such as on a full disk."""


async def in_thread(work: Callable[[], T]) -> T:
    """Run a function in a thread.

    A thread can't be stopped, so a caller that is cancelled waits for its end: a write that came after the attempt was
    given back would take the lease again.
    """
    future = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise


async def _end(tasks: Sequence["asyncio.Task[Any]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class AttemptRun:
    """One claim's way through the images.

    Args:
        db: where scores are written.
        claim: of the attempt.
        images: what is sent.
        sender: to the endpoint; open.
        settings: how many images are under way at once.
        turns: held while an image is with its endpoint; attempts that share it take turns image by image.
    """

    def __init__(  # what it works with, passed in
        self,
        db: Database,
        claim: Claim,
        images: ImageSet,
        sender: Sender,
        settings: JudgeSettings,
        turns: asyncio.Semaphore,
    ) -> None:
        self._db, self._claim, self._images, self._settings = db, claim, images, settings
        self._sender, self._turns = sender, turns
        self._reasons = [reason for _, reason in sorted(claim.saved.items())]

    async def score_all(self) -> None:
        """Score every image that has no score, and note what the endpoint says of itself before and after.

        Raises:
            EndpointDownError: the endpoint is given up.
            DiskError: go on later.
            LeaseLostError: another worker has the attempt, or it was cancelled.
        """
        await self._note_api(at_start=True)
        waiting = iter([place for place in range(len(self._images)) if place not in self._claim.saved])
        if (probe := self._prepare_next(waiting)) is not None:  # one image alone, then at most `concurrency` at a time
            reference, body = await probe[1]
            await self._score(probe[0], reference, await self._send(body))
        workers = [asyncio.create_task(self._work(waiting)) for _ in range(self._settings.concurrency)]
        try:
            await asyncio.gather(*workers)
        finally:
            await _end(workers)
        await self._note_api(at_start=False)

    async def _work(self, waiting: Iterator[int]) -> None:
        ready, scoring = self._prepare_next(waiting), None
        try:
            while ready is not None:
                place, task = ready
                reference, body = await task
                ready = self._prepare_next(waiting)  # is read while this one is under way
                reply = await self._send(body)
                if scoring is not None:
                    await scoring
                scoring = asyncio.create_task(self._score(place, reference, reply))  # while the next is under way
            if scoring is not None:
                await scoring
        finally:
            await _end([task for task in (scoring, ready[1] if ready else None) if task is not None])

    async def _send(self, body: bytes) -> Reply:
        async with self._turns:
            return await self._sender.send(self._claim.url, body)

    async def _note_api(self, *, at_start: bool) -> None:
        text = await self._sender.about(self._claim.url)
        await in_thread(lambda: attempt_queue.note_api(self._db, self._claim, at_start=at_start, text=text))

    async def _score(self, place: int, reference: BinaryMask, reply: Reply) -> None:
        # All slow work in threads: a blocked loop would make a reply late that came in time.
        def score_and_save() -> str | None:
            scored = score_reply(reference, reply, keep_mask=self._claim.kind == VALIDATION)
            attempt_queue.save(self._db, self._claim, place, scored, self._settings.lease_s)
            return scored.reason

        self._reasons.append(await in_thread(score_and_save))
        if (reason := self._why_down()) is not None:
            raise EndpointDownError(reason)

    def _why_down(self) -> str | None:
        first = min(DOWN_AFTER, len(self._images))
        if first <= len(self._reasons) <= DOWN_AFTER and set(self._reasons) <= _DOWN:
            return str(self._reasons[-1])
        last = self._reasons[-DOWN_AFTER:]
        return TIMEOUT if last == [TIMEOUT] * DOWN_AFTER else None

    def _prepare_next(self, waiting: Iterator[int]) -> Prepared | None:
        place = next(waiting, None)
        return None if place is None else (place, asyncio.create_task(asyncio.to_thread(self._prepare, place)))

    def _prepare(self, place: int) -> tuple[BinaryMask, bytes]:
        try:
            reference, image = self._images.load(place)
        except OSError as error:
            raise DiskError(error.strerror) from error
        return reference, request_body(image)
