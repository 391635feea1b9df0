"""The queue alone; see `test_overload.py` for the service behind it."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from mipseg.serving.prediction_queue import PredictionQueue
from mipseg.serving.problems import ProblemError

pytestmark = pytest.mark.alone
HANG_S = 20


class Hanging:
    """Work that ends when it is told to; it counts how often it has begun."""

    def __init__(self) -> None:
        self.begun, self.go = 0, threading.Event()

    def __call__(self) -> bool:
        self.begun += 1
        return self.go.wait(HANG_S)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what a thread does."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def test_the_result_comes_from_another_thread() -> None:
    found = asyncio.run(PredictionQueue(0, 1).run(threading.current_thread))
    assert found is not threading.current_thread()


def test_one_at_a_time_in_the_order_of_arrival() -> None:
    events: list[tuple[str, int]] = []

    def work(number: int) -> Callable[[], int]:
        def step() -> int:
            events.append(("begin", number))
            time.sleep(0.01)
            events.append(("end", number))
            return number

        return step

    async def all_of_them() -> list[int]:
        queue = PredictionQueue(4, 5)
        return await asyncio.gather(*(queue.run(work(number)) for number in range(5)))

    assert asyncio.run(all_of_them()) == [0, 1, 2, 3, 4]
    assert events == [(kind, number) for number in range(5) for kind in ("begin", "end")]


def test_full_queue_refuses_and_recovers() -> None:
    async def scenario() -> None:
        queue, go = PredictionQueue(2, 5), threading.Event()
        inside = [asyncio.create_task(queue.run(go.wait)) for _ in range(3)]
        await asyncio.sleep(0)
        assert queue.inside == 3
        with pytest.raises(ProblemError) as caught:
            await queue.run(lambda: True)
        assert (caught.value.status, caught.value.code) == (503, "busy")
        assert caught.value.headers["Retry-After"] == "1"
        go.set()
        assert await asyncio.gather(*inside) == [True] * 3
        assert queue.inside == 0
        assert await queue.run(lambda: "again") == "again"

    asyncio.run(scenario())


def test_deadline_gives_up_and_frees_the_turn() -> None:
    async def scenario() -> None:
        queue, work = PredictionQueue(2, 0.5), Hanging()
        started = time.perf_counter()
        with pytest.raises(ProblemError) as caught:
            await queue.run(work)
        assert 0.49 < time.perf_counter() - started < HANG_S / 2
        assert (caught.value.status, caught.value.code) == (503, "deadline")
        assert queue.inside == 0
        assert await queue.run(lambda: "next") == "next"
        work.go.set()

    asyncio.run(scenario())


def test_two_that_were_given_up_keep_all_others_out_until_one_ends() -> None:
    async def scenario() -> None:
        queue, first, second, third = PredictionQueue(8, 0.5), Hanging(), Hanging(), Hanging()
        for number, work in enumerate((first, second), 1):
            queue.check()
            with pytest.raises(ProblemError, match="no answer within"):
                await queue.run(work)
            assert queue.abandoned == number
        with pytest.raises(ProblemError, match="2 predictions that were given up still run") as caught:
            await queue.run(third)
        assert (caught.value.status, caught.value.code) == (503, "stuck")
        assert (first.begun, second.begun, third.begun) == (1, 1, 0)
        assert await queue.run(lambda: "new code", has_deadline=False) == "new code"
        second.go.set()
        await until(lambda: queue.abandoned == 1)
        queue.check()
        assert await queue.run(lambda: "next") == "next"
        first.go.set()

    asyncio.run(scenario())


def test_what_was_given_up_after_its_client_left_counts_as_well() -> None:
    async def scenario() -> None:
        queue, work = PredictionQueue(8, 0.5), Hanging()
        for _ in range(2):
            left = asyncio.create_task(queue.run(work))
            await until(lambda: work.begun == queue.abandoned + 1)
            left.cancel()
            await asyncio.wait([left], timeout=10)
        with pytest.raises(ProblemError, match="2 predictions that were given up still run"):
            queue.check()
        work.go.set()
        await until(lambda: queue.abandoned == 0)
        queue.check()

    asyncio.run(scenario())


def test_those_that_wait_do_not_pile_up_behind_one_that_hangs() -> None:
    async def scenario() -> list[str]:
        queue, work = PredictionQueue(8, 1), Hanging()
        waiting = []
        for pause in (0.4, 0.4, 0, 0, 0):  # the second has 0.4 s when its turn comes, the others that much after it
            waiting.append(asyncio.create_task(queue.run(work)))
            await asyncio.sleep(pause)
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert work.begun == 2
        work.go.set()
        return [getattr(error, "code", "") for error in ended]

    assert asyncio.run(scenario()) == ["deadline"] * 2 + ["stuck"] * 3


def test_deadline_counts_from_arrival() -> None:
    async def scenario() -> list[object]:
        queue, work = PredictionQueue(2, 1), Hanging()
        started = time.perf_counter()
        results = await asyncio.gather(queue.run(work), queue.run(work), return_exceptions=True)
        assert time.perf_counter() - started < 1.9
        work.go.set()
        return list(results)

    assert all(isinstance(result, ProblemError) for result in asyncio.run(scenario()))


def test_who_leaves_while_waiting_is_not_computed_for() -> None:
    async def scenario() -> list[str]:
        queue, go, done = PredictionQueue(8, 5), threading.Event(), list[str]()
        first = asyncio.create_task(queue.run(go.wait))
        waiting = [asyncio.create_task(queue.run(lambda: done.append("left"))) for _ in range(8)]
        await asyncio.sleep(0)
        assert queue.inside == 9
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert queue.inside == 1
        last = asyncio.create_task(queue.run(lambda: done.append("stayed")))
        go.set()
        await asyncio.gather(first, last)
        return done

    assert asyncio.run(scenario()) == ["stayed"]


def test_what_runs_keeps_its_turn_when_its_client_leaves() -> None:
    async def scenario() -> None:
        queue, work = PredictionQueue(8, HANG_S), Hanging()
        first = asyncio.create_task(queue.run(work))
        await until(lambda: work.begun == 1)
        first.cancel()
        beside = asyncio.create_task(queue.run(lambda: "next"))
        await asyncio.sleep(0.05)
        assert not beside.done()
        assert queue.inside == 2
        work.go.set()
        assert await beside == "next"
        assert first.cancelled()
        assert queue.inside == 0

    asyncio.run(scenario())


def test_what_hangs_after_its_client_left_loses_its_turn_at_the_deadline() -> None:
    async def scenario() -> None:
        queue, work = PredictionQueue(8, 1), Hanging()
        first = asyncio.create_task(queue.run(work))
        await until(lambda: work.begun == 1)
        first.cancel()
        await asyncio.wait([first], timeout=10)
        assert first.cancelled()
        assert queue.abandoned == 1
        assert await queue.run(lambda: "next") == "next"
        work.go.set()

    asyncio.run(scenario())


def test_work_without_a_deadline_takes_its_time() -> None:
    def work() -> str:
        time.sleep(0.1)
        return "done"

    assert asyncio.run(PredictionQueue(0, 0.01).run(work, has_deadline=False)) == "done"


@pytest.mark.parametrize(("raised", "wanted"), [
    (ValueError("x"), ValueError), (TimeoutError("x"), TimeoutError), (KeyError("x"), KeyError),
    (SystemExit(1), RuntimeError), (KeyboardInterrupt(), RuntimeError), (GeneratorExit(), RuntimeError),
])  # fmt: skip
def test_errors_come_through_but_none_ends_the_loop(raised: BaseException, wanted: type[Exception]) -> None:
    def work() -> None:
        raise raised

    async def scenario() -> None:
        queue = PredictionQueue(0, 5)
        with pytest.raises(wanted):
            await queue.run(work)
        assert await queue.run(lambda: "next") == "next"

    asyncio.run(scenario())
