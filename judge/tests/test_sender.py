import asyncio
import io
import resource
import time

import judge_endpoints as endpoints
import numpy as np
import pytest
from judge_endpoints import Endpoint, answer, constant, empty_mask, mask_of, png, reply, sends
from PIL import Image

from mipjudge.scoring import request_body, score_reply
from mipjudge.sender import Reply, Sender
from mipjudge.settings import JudgeSettings
from mipjudge.target import AddressPolicy, parse_endpoint
from mipseg.io.dataset import Case

SETTINGS = JudgeSettings(_env_file=None, deadline_s=1.0)
LOCAL = AddressPolicy(SETTINGS.allowed_networks)
TUMOUR = np.zeros((90, 70), bool)
TUMOUR[10:20, 30:40] = True
CASE = Case("patient_1", np.where(TUMOUR, 10, 240).astype(np.uint8), TUMOUR)
BODY = request_body(png(np.repeat(CASE.image[:, :, None], 3, axis=2)))


def send(url: str, policy: AddressPolicy = LOCAL) -> Reply:
    async def once() -> Reply:
        async with Sender(policy, SETTINGS) as sender:
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
    "grey PNG": (constant(np.zeros((90, 70), np.uint8)), "invalid-mask"),
    "RGBA": (constant(np.full((90, 70, 4), 255, np.uint8)), "invalid-mask"),
    "unequal by 1": (constant(COLOURED), "invalid-mask"),
    "red": (constant(RED), "invalid-mask"),
}


@pytest.mark.hazard("H2")
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_scores_0_and_is_named(name):
    handler, reason = FAULTS[name]
    endpoints.gzip_bomb()  # made before memory is measured
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    with Endpoint(handler) as endpoint:
        got = send(endpoint.url)
    scored = score_reply(TUMOUR, got, keep_mask=True)
    assert (scored.score, scored.reason, scored.mask) == (0.0, reason, None)
    assert time.monotonic() - started < 4
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_a_perfect_mask_scores_1_and_an_empty_one_0():
    with Endpoint(endpoints.perfect([CASE])) as endpoint:
        scored = score_reply(TUMOUR, send(endpoint.url), keep_mask=False)
    assert (scored.score, scored.reason) == (1.0, None)
    with Endpoint(sends(lambda body: answer(empty_mask(body)))) as endpoint:
        scored = score_reply(TUMOUR, send(endpoint.url), keep_mask=False)
    assert (scored.score, scored.reason) == (0.0, None)
    assert 0 < scored.seconds < 1


def test_nothing_is_sent_to_an_address_that_may_not_be_called():
    with Endpoint(sends(lambda _: b"")) as canary:
        for url in (canary.url, f"http://[::ffff:7f00:1]:{canary.port}/", f"http://2130706433:{canary.port}/"):
            assert send(url, AddressPolicy()).reason == "address-refused"
        assert canary.connections == 0


def test_a_name_that_changes_its_address_after_the_check_gains_nothing():
    answers = iter([["8.8.8.8"], ["127.0.0.1"], ["127.0.0.1"]])
    policy = AddressPolicy(resolver=lambda *_: next(answers))
    with Endpoint(sends(lambda _: b"")) as canary:
        url = f"http://rebinding.example:{canary.port}/predict"
        assert policy.addresses(parse_endpoint(url)) == ["8.8.8.8"]  # the check of the submission passes
        assert send(url, policy).reason == "address-refused"
        assert canary.connections == 0


def test_the_address_that_was_checked_is_the_one_connected_to():
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
def test_a_redirect_to_loopback_reaches_nobody():
    with Endpoint(sends(lambda _: b"")) as canary:
        target = f"Location: {canary.url}\r\n"
        for status in ("301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"):
            with Endpoint(sends(lambda _, s=status: answer(b"", s, target))) as endpoint:
                assert send(endpoint.url).reason == "redirect"
        assert canary.connections == 0


def test_proxies_of_the_environment_are_not_used(monkeypatch):
    with Endpoint(sends(lambda _: b"")) as proxy, Endpoint(sends(lambda body: answer(empty_mask(body)))) as endpoint:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert send(endpoint.url).reason is None
        assert proxy.connections == 0


def test_what_the_endpoint_is_sent():
    with Endpoint(sends(lambda body: answer(empty_mask(body)))) as endpoint:
        send(endpoint.url)
        head = endpoint.heads[0].lower()
        assert endpoint.bodies == [BODY]
    assert b"\r\naccept-encoding: identity\r\n" in head
    assert b"\r\ncontent-type: application/json\r\n" in head
    assert endpoints.size(BODY) == (70, 90)


def test_the_second_address_is_tried_when_the_first_refuses():
    policy = AddressPolicy(SETTINGS.allowed_networks, lambda *_: ["127.0.0.77", "127.0.0.1"])
    with Endpoint(sends(lambda body: answer(empty_mask(body)))) as endpoint:
        assert send(f"http://both.example:{endpoint.port}/", policy).reason is None
    assert send(f"http://both.example:{endpoint.port}/", policy).reason == "unreachable"
