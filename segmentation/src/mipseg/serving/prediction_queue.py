"""One prediction at a time on all cores, off the event loop, with a short queue and a deadline."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Any, TypeVar

from mipseg.serving.problems import ProblemError

MAX_ABANDONED = 1
T = TypeVar("T")


class PredictionQueue:
    """Runs predictions one after another, in the order of their arrival.

    One at a time, because one prediction already uses every core, and because a team's own `predict` need not be safe
    to call from two threads. There is one exception: a prediction that is given up runs on, since a thread can't be
    stopped. Beside one such the next ones are made; while there are two, none is begun but the warm-up of new code.

    Args:
        size: predictions that may wait beside the one that runs.
        deadline_s: seconds from arrival until a prediction is given up.
    """

    def __init__(self, size: int, deadline_s: float) -> None:
        self._size, self._deadline_s, self._inside = size, deadline_s, 0
        self._turn = asyncio.Lock()
        self._abandoned = set[asyncio.Future[Any]]()

    @property
    def inside(self) -> int:
        """Predictions that run or wait."""
        return self._inside

    @property
    def abandoned(self) -> int:
        """Predictions that were given up and still run."""
        return len(self._abandoned)

    def check(self) -> None:
        """Refuse while too many predictions run on that were given up.

        Raises:
            ProblemError: 503, until one of them ends.
        """
        if self.abandoned > MAX_ABANDONED:
            detail = f"{self.abandoned} predictions that were given up still run, so none is begun until one ends"
            raise ProblemError("stuck", detail, {"Retry-After": "5"})

    async def run(self, work: Callable[[], T], *, has_deadline: bool = True) -> T:
        """Run a function in a thread when its turn comes.

        Cancelled, it leaves the queue at once; but what already runs keeps its turn until it ends or its deadline
        passes, since a thread can't be stopped and the next one must not run beside it.

        Args:
            work: what to run.
            has_deadline: False only for what no request waits for.

        Raises:
            ProblemError: 503, the queue is full, the deadline has passed, or see `check`.
        """
        if self._inside > self._size:
            raise ProblemError("busy", "the queue is full", {"Retry-After": "1"})
        self._inside += 1
        try:
            async with asyncio.timeout(self._deadline_s if has_deadline else None) as deadline, self._turn:
                if has_deadline:
                    self.check()
                running = asyncio.wrap_future(_in_thread(work))
                try:
                    return await asyncio.shield(running)
                except asyncio.CancelledError:
                    if not deadline.expired():
                        await asyncio.wait([running])
                    raise
                finally:
                    if not running.done():
                        self._abandoned.add(running)
                        running.add_done_callback(self._abandoned.discard)
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
