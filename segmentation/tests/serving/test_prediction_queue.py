import asyncio
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from mipseg.serving.prediction_queue import PredictionQueue
from mipseg.serving.problems import ProblemError
from tests.serving import served_app
from tests.serving.answers import GOOD, JSON, assert_mask, assert_problem, assert_still_serves
from tests.serving.images import b64, good_png
from tests.serving.server import Server

pytestmark = pytest.mark.alone


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
        queue, go = PredictionQueue(2, 0.1), threading.Event()
        started = time.perf_counter()
        with pytest.raises(ProblemError) as caught:
            await queue.run(go.wait)
        assert 0.09 < time.perf_counter() - started < 1
        assert (caught.value.status, caught.value.code) == (503, "deadline")
        assert queue.inside == 0
        assert await queue.run(lambda: "next") == "next"
        go.set()

    asyncio.run(scenario())


def test_two_that_were_given_up_keep_all_others_out_until_one_ends() -> None:
    async def scenario() -> None:
        queue, go = PredictionQueue(8, 0.1), [threading.Event(), threading.Event()]
        begun = list[int]()

        def hang(number: int) -> None:
            begun.append(number)
            go[number].wait()

        for number in range(2):
            queue.check()
            with pytest.raises(ProblemError, match="no answer within"):
                await queue.run(partial(hang, number))
            assert queue.abandoned == number + 1
        with pytest.raises(ProblemError, match="2 predictions that were given up still run") as caught:
            await queue.run(lambda: begun.append(2))
        assert (caught.value.status, caught.value.code) == (503, "stuck")
        assert begun == [0, 1]
        assert await queue.run(lambda: "new code", has_deadline=False) == "new code"
        go[1].set()
        await asyncio.sleep(0.02)
        queue.check()
        assert await queue.run(lambda: "next") == "next"
        go[0].set()

    asyncio.run(scenario())


def test_what_was_given_up_after_its_client_left_counts_as_well() -> None:
    async def scenario() -> None:
        queue, go = PredictionQueue(8, 0.1), threading.Event()
        for _ in range(2):
            left = asyncio.create_task(queue.run(go.wait))
            await asyncio.sleep(0.01)
            left.cancel()
            await asyncio.wait([left], timeout=2)
        with pytest.raises(ProblemError, match="still run"):
            queue.check()
        go.set()
        await asyncio.sleep(0.02)
        queue.check()

    asyncio.run(scenario())


def test_those_that_wait_do_not_pile_up_behind_one_that_hangs() -> None:
    async def scenario() -> list[str]:
        queue, go, begun = PredictionQueue(8, 0.2), threading.Event(), list[int]()

        def hang() -> None:
            begun.append(1)
            go.wait()

        waiting = []
        for _ in range(5):
            waiting.append(asyncio.create_task(queue.run(hang)))
            await asyncio.sleep(0.02)
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert len(begun) == 2
        go.set()
        return [getattr(error, "code", "") for error in ended]

    assert asyncio.run(scenario()) == ["deadline"] * 2 + ["stuck"] * 3


def test_deadline_counts_from_arrival() -> None:
    async def scenario() -> list[object]:
        queue, go = PredictionQueue(2, 0.2), threading.Event()
        started = time.perf_counter()
        results = await asyncio.gather(queue.run(go.wait), queue.run(go.wait), return_exceptions=True)
        assert time.perf_counter() - started < 0.39
        go.set()
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
        queue, go = PredictionQueue(8, 5), threading.Event()
        first = asyncio.create_task(queue.run(go.wait))
        await asyncio.sleep(0.01)
        first.cancel()
        beside = asyncio.create_task(queue.run(lambda: "next"))
        await asyncio.sleep(0.05)
        assert not beside.done()
        assert queue.inside == 2
        go.set()
        assert await beside == "next"
        assert first.cancelled()
        assert queue.inside == 0

    asyncio.run(scenario())


def test_what_hangs_after_its_client_left_loses_its_turn_at_the_deadline() -> None:
    async def scenario() -> None:
        queue, go = PredictionQueue(8, 0.2), threading.Event()
        first = asyncio.create_task(queue.run(go.wait))
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.wait([first], timeout=2)
        assert first.cancelled()
        assert await queue.run(lambda: "next") == "next"
        go.set()

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


@pytest.fixture
def idle_service(faulty_service: Server) -> Server:
    """The faulty service when nothing runs in it any more, not even what was given up."""
    end = time.monotonic() + 10
    while "mipseg_predictions_abandoned 0.0" not in faulty_service.client.get("/metrics").text:
        assert time.monotonic() < end
        time.sleep(0.05)
    return faulty_service


def post_fault(server: Server, fault: int) -> tuple[httpx.Response, float]:
    started = time.perf_counter()
    answer = server.client.post("/predict", json={"img": served_app.faulty_image(fault)})
    return answer, time.perf_counter() - started


def test_a_prediction_that_sleeps_gets_503_at_the_deadline(idle_service: Server) -> None:
    answer, seconds = post_fault(idle_service, served_app.SLEEP)
    assert_problem(answer, 503, "deadline")
    assert 0.9 < seconds < 1.8
    started = time.perf_counter()
    assert_still_serves(idle_service)
    assert time.perf_counter() - started < 0.9


@pytest.mark.hazard("H17")
def test_while_two_sleep_beyond_their_deadlines_the_service_is_not_ready(idle_service: Server) -> None:
    for _ in range(2):
        assert_problem(post_fault(idle_service, served_app.SLEEP)[0], 503, "deadline")
    for answer in (idle_service.client.get("/readyz"), idle_service.client.post("/predict", json={"img": GOOD})):
        assert_problem(answer, 503, "stuck")
    idle_service.wait_until_ready()  # the first has ended
    assert_still_serves(idle_service)


@pytest.mark.hazard("H17")
def test_a_full_queue_refuses_at_once_and_the_loop_stays_free(idle_service: Server) -> None:
    with ThreadPoolExecutor(6) as threads:
        sleeping = [threads.submit(post_fault, idle_service, served_app.SLEEP) for _ in range(6)]
        time.sleep(0.4)
        times = []
        for _ in range(5):
            started = time.perf_counter()
            assert idle_service.client.get("/livez").status_code == 200
            times.append(time.perf_counter() - started)
        assert min(times) < 0.1  # the shortest: other programs on the machine may hold up a single one
        assert sorted(times)[2] < 0.1
        results = [future.result() for future in sleeping]
    codes = [answer.json()["code"] for answer, _ in results]
    assert sorted(codes) == ["busy"] * 4 + ["deadline"] * 2
    for answer, seconds in results:
        assert_problem(answer, 503)
        if answer.json()["code"] == "busy":
            assert seconds < 0.3
    idle_service.wait_until_ready()  # both may run on
    assert_still_serves(idle_service)


@pytest.mark.hazard("H16")
@pytest.mark.parametrize(("fault", "code"), [
    (served_app.RAISE, "prediction-failed"), (served_app.EXIT, "prediction-failed"),
    (served_app.WRONG_INPUT_ERROR, "prediction-failed"), (served_app.NO_ARRAY, "invalid-prediction"),
    (served_app.TEXT, "invalid-prediction"), (served_app.SHAPE, "invalid-prediction"),
    (served_app.GREY, "invalid-prediction"), (served_app.CHANNELS, "invalid-prediction"),
])  # fmt: skip
def test_a_failing_prediction_gets_500_without_its_text(faulty_service: Server, fault: int, code: str) -> None:
    answer, _ = post_fault(faulty_service, fault)
    assert_problem(answer, 500, code)
    assert served_app.PRIVATE not in answer.text
    assert_still_serves(faulty_service)


def test_the_faulty_service_predicts_a_white_first_pixel(faulty_service: Server) -> None:
    assert_mask(faulty_service.client.post("/predict", json={"img": GOOD}), (96, 80))


@pytest.mark.long
@pytest.mark.hazard("H17")
def test_nothing_is_computed_for_clients_that_have_gone(service: Server) -> None:
    """Eight clients ask for a large image and leave: the next request waits for the one that runs, at most."""
    large = json.dumps({"img": b64(good_png(1000, 2000))}).encode()
    head = f"POST /tumor/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(large)}"
    assert_still_serves(service)
    started = service.seconds()
    assert service.client.post("/tumor/predict", content=large, headers=JSON).status_code == 200
    alone = service.seconds() - started
    connections = [service.connect() for _ in range(8)]
    for connection in connections:
        connection.sendall(head.encode() + b"\r\n\r\n" + large)
    time.sleep(0.2)  # all of them are in the queue
    started = service.seconds()
    for connection in connections:
        connection.close()
    assert_still_serves(service)
    assert service.seconds() - started < 2 * alone
    assert "mipseg_predictions_inside 0.0" in service.client.get("/metrics").text


@pytest.mark.hazard("H17")
def test_three_times_as_many_requests_as_can_be_answered(service: Server) -> None:
    """An open loop: requests come at their own pace, whether or not earlier ones have been answered."""
    content = json.dumps({"img": GOOD})

    def post(_: int = 0) -> tuple[httpx.Response, float]:
        started = time.perf_counter()
        answer = service.client.post("/tumor/predict", content=content, headers=JSON)
        return answer, time.perf_counter() - started

    alone = min(post()[1] for _ in range(5))
    with ThreadPoolExecutor(60) as threads:
        sent = []
        for number in range(60):
            sent.append(threads.submit(post, number))
            time.sleep(alone / 3)
            if number % 20 == 10:
                started = time.perf_counter()
                assert service.client.get("/livez").status_code == 200
                assert time.perf_counter() - started < 1
        answered = [future.result() for future in sent]
    served = [seconds for answer, seconds in answered if answer.status_code == 200]
    refused = [seconds for answer, seconds in answered if answer.status_code == 503]
    assert len(served) + len(refused) == 60
    assert len(served) >= 10
    assert refused
    assert max(served) < 9
    assert sorted(refused)[len(refused) // 2] < 0.3
    for answer, _ in answered:
        if answer.status_code == 503:
            assert_problem(answer, 503, "busy")
    assert_still_serves(service)
