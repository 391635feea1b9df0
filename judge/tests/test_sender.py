import asyncio
import io
import socket
import time
from functools import partial

import judge_endpoints as endpoints
import numpy as np
import pytest
from judge_endpoints import Endpoint, answer, constant, empty_mask, mask_of, png, reply, sends
from PIL import Image

from mipjudge.scoring import score_reply
from mipjudge.sender import Reply, Sender
from mipjudge.settings import JudgeSettings
from mipjudge.target import AddressPolicy, parse_endpoint
from mipseg.endpoint.reply import request_body
from mipseg.io.dataset import Case
from tests.memory import growth_below

SETTINGS = JudgeSettings(_env_file=None, deadline_s=10.0)  # however busy the machine is
HASTY = SETTINGS.model_copy(update={"deadline_s": 1.0})
LOCAL = AddressPolicy(SETTINGS.allowed_networks)
TUMOUR = np.zeros((90, 70), bool)
TUMOUR[10:20, 30:40] = True
CASE = Case("patient_1", np.where(TUMOUR, 10, 240).astype(np.uint8), TUMOUR)
BODY = request_body(png(np.repeat(CASE.image[:, :, None], 3, axis=2)))


def send(url: str, policy: AddressPolicy = LOCAL, settings: JudgeSettings = SETTINGS) -> Reply:
    async def once() -> Reply:
        async with Sender(policy, settings) as sender:
            return await sender.send(url, BODY)

    return asyncio.run(once())


COLOURED = mask_of(TUMOUR)
COLOURED[:, :, 2] ^= 1
RED = np.zeros((90, 70, 3), np.uint8)
RED[:, :, 0] = 255
JPEG = io.BytesIO()
Image.fromarray(np.zeros((90, 70, 3), np.uint8)).save(JPEG, "JPEG")

FAULTS = {
    **endpoints.FAULTS,
    "closes at once": (sends(lambda _: b""), "cut-off"),
    "not HTTP": (sends(lambda _: b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "cut-off"),
    "deep JSON": (sends(lambda _: answer(b"[" * 200_000)), "not-json"),
    "many parts": (sends(lambda _: answer(b"[" + b"{}," * 2_000_000 + b"0]")), "not-json"),
    "no img": (sends(lambda _: answer(b'{"mask": 1}')), "no-img"),
    "list": (sends(lambda _: answer(b"[]")), "no-img"),
    "no base64": (sends(lambda _: answer(b'{"img": "!!!!"}')), "invalid-base64"),
    "no PNG": (sends(lambda _: answer(reply(b"GIF89a"))), "invalid-image"),
    "JPEG": (sends(lambda _: answer(reply(JPEG.getvalue()))), "invalid-image"),
    "grey 1": (constant(np.ones((90, 70), np.uint8)), "invalid-mask"),
    "data URL": (sends(lambda _: answer(b'{"img": "data:image/png;base64,iVBORw0KGgo="}')), "invalid-base64"),
    "unequal by 1": (constant(COLOURED), "invalid-mask"),
    "red": (constant(RED), "invalid-mask"),
}


@pytest.mark.hazard("H2")
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_scores_0_and_is_named(name: str) -> None:
    handler, reason = FAULTS[name]
    endpoints.gzip_bomb()  # made before memory is measured
    started, worked = time.monotonic(), time.process_time()
    with growth_below(100):
        with Endpoint(handler) as endpoint:
            got = send(endpoint.url, settings=HASTY if reason == "timeout" else SETTINGS)
        scored = score_reply(TUMOUR, got, keep_mask=True)
    assert (scored.score, scored.reason, scored.mask) == (0.0, reason, None)
    assert time.process_time() - worked < 4
    assert time.monotonic() - started < 20  # those without an end would take a minute and more


@pytest.mark.parametrize(
    ("host", "detail"),
    [("127.0.0.1", "the answer's status is 500: the mask is a list"), ("0.0.0.0", "the answer's status is 500")],
)
def test_only_a_judge_for_this_machine_tells_why_an_endpoint_fails(host: str, detail: str) -> None:
    settings = SETTINGS.model_copy(update={"host": host})
    problem = answer(b'{"detail": "the mask is a list"}', "500 Internal Server Error")
    with Endpoint(sends(lambda _: problem)) as endpoint:
        found = send(endpoint.url, settings=settings)
    assert (found.reason, found.status, found.detail) == ("http-status", 500, detail)


@pytest.mark.parametrize("body", [b"[1", b'{"detail": 5}', b'{"detail": "' + b"x" * 5000 + b'"}'])
def test_an_error_without_a_short_reason_has_its_status(body: bytes) -> None:
    with Endpoint(sends(lambda _: answer(body, "503 Service Unavailable"))) as endpoint:
        assert send(endpoint.url).detail == "the answer's status is 503"


def test_a_perfect_mask_scores_1_and_an_empty_one_0() -> None:
    with Endpoint(endpoints.perfect([CASE])) as endpoint:
        scored = score_reply(TUMOUR, send(endpoint.url), keep_mask=False)
    assert (scored.score, scored.reason) == (1.0, None)
    with Endpoint(sends(lambda body: answer(empty_mask(body)))) as endpoint:
        started = time.perf_counter()
        scored = score_reply(TUMOUR, send(endpoint.url), keep_mask=False)
    assert (scored.score, scored.reason) == (0.0, None)
    assert 0 < scored.seconds < time.perf_counter() - started


def test_nothing_is_sent_to_an_address_that_may_not_be_called() -> None:
    with Endpoint(sends(lambda _: b"")) as canary:
        for url in (canary.url, f"http://[::ffff:7f00:1]:{canary.port}/", f"http://2130706433:{canary.port}/"):
            assert send(url, AddressPolicy()).reason == "address-refused"
        assert canary.connections == 0


def test_a_name_that_changes_its_address_after_the_check_gains_nothing() -> None:
    answers = iter([["8.8.8.8"], ["127.0.0.1"], ["127.0.0.1"]])
    policy = AddressPolicy(resolver=lambda *_: next(answers))
    with Endpoint(sends(lambda _: b"")) as canary:
        url = f"http://rebinding.example:{canary.port}/predict"
        assert policy.addresses(parse_endpoint(url)) == ["8.8.8.8"]  # the check of the submission passes
        assert send(url, policy).reason == "address-refused"
        assert canary.connections == 0


def test_the_address_that_was_checked_is_the_one_connected_to() -> None:
    calls = []

    def resolver(host: str, port: int) -> list[str]:
        calls.append(host)
        return ["127.0.0.1"]

    policy = AddressPolicy(SETTINGS.allowed_networks, resolver)
    with Endpoint(sends(lambda body: answer(empty_mask(body)))) as endpoint:
        got = send(f"http://does-not-exist.invalid:{endpoint.port}/predict", policy)
        assert (got.reason, calls) == (None, ["does-not-exist.invalid"])
        assert f"host: does-not-exist.invalid:{endpoint.port}".encode() in endpoint.heads[0].lower()


@pytest.mark.hazard("H1")
def test_a_redirect_to_loopback_reaches_nobody() -> None:
    with Endpoint(sends(lambda _: b"")) as canary:
        target = f"Location: {canary.url}\r\n"

        def redirect(status: str, _: bytes) -> bytes:
            return answer(b"", status, target)

        for status in ("301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"):
            with Endpoint(sends(partial(redirect, status))) as endpoint:
                assert send(endpoint.url).reason == "redirect"
        assert canary.connections == 0


@pytest.mark.parametrize(("path", "location", "reason"), [
    ("/predict/", "/predict", None), ("/predict", "/predict/", None), ("/predict/", "{base}/predict", None),
    ("/a/predict/?k=1", "/a/predict?k=1", None),
    ("/predict/", "{other}/predict", "redirect"), ("/predict/", "https://127.0.0.1/predict", "redirect"),
    ("/predict/", "/other", "redirect"), ("/predict/", "/predict/", "redirect"),
    ("/predict/", "http://[bad", "redirect"),
    ("/predict/", "http://localhost:{port}/predict", "redirect"), ("/predict/", "", "redirect"),
])  # fmt: skip
@pytest.mark.parametrize("status", ["307 Temporary Redirect", "308 Permanent Redirect"])
def test_the_redirect_that_only_moves_a_slash_is_followed(
    path: str, location: str, reason: str | None, status: str
) -> None:
    with Endpoint(sends(lambda _: b"")) as canary:

        def reply_or_redirect(endpoint: Endpoint, connection: socket.socket, body: bytes) -> None:
            base = f"http://127.0.0.1:{endpoint.port}"
            to = location.format(base=base, other=f"http://127.0.0.1:{canary.port}", port=endpoint.port)
            first = len(endpoint.bodies) == 1
            connection.sendall(answer(b"", status, f"Location: {to}\r\n") if first else answer(empty_mask(body)))

        with Endpoint(reply_or_redirect) as endpoint:
            assert send(f"http://127.0.0.1:{endpoint.port}{path}").reason == reason
            assert endpoint.bodies == [BODY] * (1 if reason else 2)
        assert canary.connections == 0


def test_a_slash_is_moved_only_once() -> None:
    def again(endpoint: Endpoint, connection: socket.socket, _: bytes) -> None:
        to = "/predict/" if len(endpoint.bodies) % 2 == 0 else "/predict"
        connection.sendall(answer(b"", "307 Temporary Redirect", f"Location: {to}\r\n"))

    with Endpoint(again) as endpoint:
        assert send(f"{endpoint.url}/").reason == "redirect"
        assert len(endpoint.bodies) == 2


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Endpoint(sends(lambda _: b"")) as proxy, Endpoint(sends(lambda body: answer(empty_mask(body)))) as endpoint:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert send(endpoint.url).reason is None
        assert proxy.connections == 0


def test_what_the_endpoint_is_sent() -> None:
    with Endpoint(sends(lambda body: answer(empty_mask(body)))) as endpoint:
        send(endpoint.url)
        head = endpoint.heads[0].lower()
        assert endpoint.bodies == [BODY]
    assert b"\r\naccept-encoding: identity\r\n" in head
    assert b"\r\ncontent-type: application/json\r\n" in head
    assert endpoints.size(BODY) == (70, 90)


def test_the_second_address_is_tried_when_the_first_refuses() -> None:
    policy = AddressPolicy(SETTINGS.allowed_networks, lambda *_: ["127.0.0.77", "127.0.0.1"])
    with Endpoint(sends(lambda body: answer(empty_mask(body)))) as endpoint:
        assert send(f"http://both.example:{endpoint.port}/", policy).reason is None
    assert send(f"http://both.example:{endpoint.port}/", policy).reason == "unreachable"
