"""One prediction at a time on all cores, off the event loop, with a short queue and a deadline."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

from mipseg.serving.problems import ProblemError

T = TypeVar("T")


class PredictionQueue:
    """Runs predictions one after another, in the order of their arrival.

    One at a time, because one prediction already uses every core, and because a team's own `predict` need not be safe
    to call from two threads.

    Args:
        size: predictions that may wait beside the one that runs.
        deadline_s: seconds from arrival until a prediction is given up.
    """

    def __init__(self, size: int, deadline_s: float) -> None:
        self._size, self._deadline_s, self._inside = size, deadline_s, 0
        self._turn = asyncio.Lock()

    @property
    def inside(self) -> int:
        """Predictions that run or wait."""
        return self._inside

    async def run(self, work: Callable[[], T], *, has_deadline: bool = True) -> T:
        """Run a function in a thread when its turn comes.

        Cancelled, it leaves the queue at once; but what already runs keeps its turn until it ends or its deadline
        passes, since a thread can't be stopped and the next one must not run beside it.

        Args:
            work: what to run.
            has_deadline: False only for what no request waits for.

        Raises:
            ProblemError: 503, the queue is full or the deadline has passed.
        """
        if self._inside > self._size:
            raise ProblemError("busy", "the queue is full", {"Retry-After": "1"})
        self._inside += 1
        try:
            async with asyncio.timeout(self._deadline_s if has_deadline else None) as deadline, self._turn:
                running = asyncio.wrap_future(_in_thread(work))
                try:
                    return await asyncio.shield(running)
                except asyncio.CancelledError:
                    if not deadline.expired():
                        await asyncio.wait([running])
                    raise
        except TimeoutError:
            if not deadline.expired():
                raise
            detail = f"no answer within {self._deadline_s:g} s"
            raise ProblemError("deadline", detail, {"Retry-After": "1"}) from None
        finally:
            self._inside -= 1


def _in_thread(work: Callable[[], T]) -> "Future[T]":
    """Start a thread of its own: one that hangs can't be stopped, but it holds up neither the next one nor the exit."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def target() -> None:
        try:
            future.set_result(work())
        except Exception as error:
            future.set_exception(error)
        except BaseException as error:  # sys.exit() there must not end the server
            future.set_exception(RuntimeError(f"the work ended with {type(error).__name__}"))

    Thread(target=target, name="predict", daemon=True).start()
    return future
