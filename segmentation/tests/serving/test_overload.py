"""A service whose predictions hang or fail, or that is asked for more than it can answer."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.serving import served_app
from tests.serving.answers import GOOD, JSON, assert_mask, assert_problem, assert_still_serves
from tests.serving.images import b64, good_png
from tests.serving.server import Server

pytestmark = pytest.mark.alone


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
    started = time.perf_counter()
    answer, seconds = post_fault(idle_service, served_app.SLEEP)
    assert_problem(answer, 503, "deadline")
    assert seconds > 0.9
    assert_still_serves(idle_service)
    assert time.perf_counter() - started < served_app.SLEEP_S  # it sleeps on


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
            assert seconds < 0.8  # those that wait are told after 1 s
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
