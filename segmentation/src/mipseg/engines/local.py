"""The engine of one machine: a pool of processes, one case each."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from threading import Thread
from typing import TypeVar

Work = TypeVar("Work")
Outcome = TypeVar("Outcome")


def run_cases(
    work: Callable[[Work], Outcome], cases: Sequence[Work], processes: int, lost: Callable[[Work], Outcome]
) -> Iterator[Outcome]:
    """Do some work with every case, in any order, with exactly one outcome for each.

    A process that dies takes the pool with it, and it can't be told which of the cases in work was to blame. So each of
    those is tried once more, alone, and the one whose process dies again is lost.

    Args:
        work: a function that can be pickled and raises nothing.
        cases: what it gets.
        processes: how many cases are in work at once; a single case is done in this process.
        lost: makes the outcome of a case whose process died.
    """
    if len(cases) == 1:
        yield work(cases[0])
        return
    waiting, suspects = list(reversed(cases)), list[Work]()
    while waiting:
        yield from _run_pool(work, waiting, suspects, processes)
    while suspects:
        alone, died = [suspects.pop()], list[Work]()
        yield from _run_pool(work, alone, died, 1)
        yield from (lost(case) for case in died)


def _run_pool(
    work: Callable[[Work], Outcome], waiting: list[Work], suspects: list[Work], processes: int
) -> Iterator[Outcome]:
    """Work off `waiting` from its end until it is empty or the pool breaks; then `suspects` gets what was in work."""
    # Spawned: a fork would copy locks that the runtimes' threads hold.
    context = multiprocessing.get_context("spawn")
    count = min(processes, len(waiting))
    with ProcessPoolExecutor(count, context, initializer=_follow_parent) as pool:
        running: dict[Future[Outcome], Work] = {}
        broken = False
        while running or (waiting and not broken):
            # No more than are worked on: what the pool has not begun is not lost with it.
            while waiting and not broken and len(running) < count:
                case = waiting.pop()
                try:
                    running[pool.submit(work, case)] = case
                except BrokenProcessPool:
                    waiting.append(case)
                    broken = True
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                case = running.pop(future)
                try:
                    outcome = future.result()
                except BrokenProcessPool:
                    suspects.append(case)
                    broken = True
                    continue
                yield outcome


def _follow_parent() -> None:
    """Leave interrupts to the parent, and end with it: the pool's processes would wait for work without end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def end_with_parent() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=end_with_parent, daemon=True).start()
