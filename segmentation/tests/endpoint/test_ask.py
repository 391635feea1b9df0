"""Asking an endpoint: what is sent, what is read, and every fault in one line."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from mipseg.endpoint import ask as module
from mipseg.endpoint.ask import Answer, EndpointClient
from mipseg.errors import InputError
from mipseg.http import bounded
from tests.endpoints import Pixels, Reply, endpoint, hottest, masked
from tests.ports import free_port

IMAGE = np.full((9, 7), 200, np.uint8)
IMAGE[2:4, 3] = 0


def ask(url: str) -> Answer:
    with EndpointClient(url) as client:
        return client.ask(IMAGE)


def test_mask_time_and_file() -> None:
    seen: list[Pixels] = []

    def answer(image: Pixels) -> Reply:
        seen.append(image)
        return hottest(image)

    with endpoint(answer) as url:
        found = ask(url)
    assert found.mask is not None
    assert np.argwhere(found.mask).tolist() == [[2, 3], [3, 3]]
    assert (found.problem, found.reached) == ("", True)
    assert found.png.startswith(b"\x89PNG")
    assert 0 < found.seconds < 10
    assert np.array_equal(seen[0], np.repeat(IMAGE[:, :, None], 3, axis=2))


@pytest.mark.parametrize(("reply", "problem"), [
    ((500, b"{}"), "the answer's status is 500"),
    ((500, b'{"detail": "no\\nskimage"}'), "the answer's status is 500: no skimage"),
    ((503, b'{"detail": ["no"]}'), "the answer's status is 503"),
    ((307, b""), "the answer's status is 307"),
    ((200, b"<html>"), "the reply: not JSON in UTF-8"),
    ((200, b'{"image": ""}'), 'the reply must be a JSON object with "img"'),
    ((200, b'{"img": "####"}'), "img is not valid base64"),
    (masked(np.zeros((7, 9, 3), np.uint8)), "the mask's shape is (7, 9, 3), but the image's is (9, 7, 3)"),
    (masked(np.full((9, 7, 3), 1, np.uint8)), "the mask may hold only 0 and 255, but 189 values are others, such as 1"),
])  # fmt: skip
def test_faults_are_named(reply: Reply, problem: str) -> None:
    with endpoint(lambda _: reply) as url:
        found = ask(url)
    assert (found.mask, found.problem, found.reached) == (None, problem, True)


def test_a_refused_mask_is_kept_to_look_at() -> None:
    with endpoint(lambda _: masked(np.full((9, 7, 3), 1, np.uint8))) as url:
        assert ask(url).png.startswith(b"\x89PNG")


def test_nobody_answers() -> None:
    found = ask(f"http://127.0.0.1:{free_port()}")
    assert (found.reached, found.problem) == (False, "nobody answers at the URL")


def test_a_late_answer_scores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter((0.0, 10.5))
    clock = SimpleNamespace(perf_counter=lambda: next(ticks), monotonic=time.monotonic)
    with endpoint() as url:
        monkeypatch.setattr(module, "time", clock)
        found = ask(url)
    assert (found.mask, found.problem) == (None, "the answer took 10.5 s; the judge waits 10 s")
    assert found.seconds == 10.5


def test_no_answer_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint() as url:
        monkeypatch.setattr(bounded, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 31))
        assert ask(url).problem == "no answer within 30 s"


def test_a_large_reply_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BODY_BYTES", 100)
    with endpoint(lambda _: (200, b" " * 101)) as url:
        assert ask(url).problem == "the answer has more than 100 bytes"


@pytest.mark.parametrize(("url", "problem"), [
    ("ftp://127.0.0.1/", "the endpoint's address must begin with http:// or https:// and a host"),
    ("http://user:secret@127.0.0.1/", "the endpoint's address must not hold a user or a password"),
    ("http://127.0.0.1:99999/", "the endpoint's address is not a web address"),
    ("http://127.0.0.1/#x", "the endpoint's address must not hold a #fragment"),
])  # fmt: skip
def test_addresses_that_are_refused(url: str, problem: str) -> None:
    with pytest.raises(InputError) as error:
        EndpointClient(url)
    assert str(error.value) == problem


@pytest.mark.parametrize(("url", "wanted"), [
    ("http://127.0.0.1:8000", "http://127.0.0.1:8000/predict"),
    (" http://127.0.0.1:8000/tumor/ ", "http://127.0.0.1:8000/tumor/predict"),
    ("http://127.0.0.1:8000/tumor/predict/", "http://127.0.0.1:8000/tumor/predict/"),
])  # fmt: skip
def test_predict_is_appended(url: str, wanted: str) -> None:
    with EndpointClient(url) as client:
        assert client.url == wanted
