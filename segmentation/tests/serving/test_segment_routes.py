"""`POST /v1/segment`: images, the form, its options and limits."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from mipseg.io.arrays import intensity_of_image
from mipseg.model.segmenter import load_segmenter
from mipseg.phantom import make_phantom
from mipseg.serving.app import create_app
from mipseg.settings import Settings
from tests.serving.answers import assert_mask_png, assert_problem
from tests.serving.images import b64, from_b64, good_png, save
from tests.serving.server import Server

PNG = save(make_phantom(2, height=489).mip)


def ask(app: FastAPI, **request: Any) -> httpx.Response:
    """One upload to an application without a server."""

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
            return await client.post("/v1/segment", **request)

    return asyncio.run(send())


@pytest.fixture(autouse=True)
def _own_jobs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A service that runs beside the tests keeps its own folder."""
    monkeypatch.setenv("MIPSEG_JOBS_DIR", str(tmp_path / "jobs"))


def app_of(**settings: Any) -> FastAPI:
    return create_app(np.zeros_like, load_segmenter(), Settings(**settings))


def test_an_image_is_answered_as_analyze_does(service: Server) -> None:
    answer = service.client.post("/v1/segment", files={"file": ("any name", PNG)}, data={"pixel_spacing": "2, 2.2"})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    analyzed = service.client.post("/tumor/analyze", json={"img": b64(PNG), "pixel_spacing": [2, 2.2]}).json()
    assert found["lesions"][0]["area_mm2"] == pytest.approx(4.4 * found["lesions"][0]["area_px"])
    assert found["mask"] == analyzed.pop("img")
    assert {name: found[name] for name in analyzed} == analyzed
    assert (found["kind"], found["shape"], found["spacing_mm"]) == ("image", [489, 400], [2, 2.2])
    assert found.keys() == {*analyzed, "kind", "shape", "spacing_mm", "mask", "image", "probability", "temperature"}
    assert found["temperature"] == load_segmenter().config.temperature
    assert_mask_png(found["mask"], (489, 400))


def test_without_spacing_there_is_none(service: Server) -> None:
    found = service.client.post("/v1/segment", files={"file": PNG}).json()
    assert (found["spacing_mm"], found["shape"]) == (None, [489, 400])
    assert [lesion["area_mm2"] for lesion in found["lesions"]] == [None] * len(found["lesions"])


def test_image_and_probability_are_what_the_networks_saw_and_said(service: Server) -> None:
    found = service.client.post("/v1/segment", files={"file": PNG}).json()
    mip = make_phantom(2, height=489).mip
    np.testing.assert_array_equal(from_b64(found["image"]), mip)
    probability = from_b64(found["probability"])
    assert (probability.shape, probability.dtype.name) == ((489, 400), "uint8")
    expected = load_segmenter().segment(intensity_of_image(mip)).probability
    np.testing.assert_array_equal(probability, np.rint(expected * 255))


def test_the_image_shows_what_was_repaired(service: Server) -> None:
    grey = make_phantom(2, height=489).mip
    framed = np.pad(255 - grey, ((10, 20), (30, 40)), constant_values=255)  # inverted, in white bars
    answer = service.client.post("/v1/segment", files={"file": save(framed)})
    assert answer.headers["x-input-warning"] == ", ".join(answer.json()["warnings"])
    assert "inverted" in answer.json()["warnings"]
    shown = from_b64(answer.json()["image"])
    assert shown.shape == framed.shape
    np.testing.assert_array_equal(shown[10:-20, 30:-40], grey)
    assert (shown[:10] == 255).all()


def test_options_come_by_the_form_or_by_the_query(service: Server) -> None:
    files = {"file": good_png()}
    by_form = service.client.post("/v1/segment", files=files, data={"pixel_spacing": "3,3"}).json()
    assert by_form == service.client.post("/v1/segment?pixel_spacing=3,3", files=files).json()
    assert by_form["spacing_mm"] == [3, 3]


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        ({"pixel_spacing": "2"}, "pixel_spacing"),
        ({"pixel_spacing": "2,0"}, "pixel_spacing: Input should be greater than 0"),
        ({"pixel_spacing": "nan,2"}, "pixel_spacing"),
        ({"weight": "heavy"}, "weight: Input should be a valid number, unable to parse string as a number"),
        ({"weight": "inf"}, "weight: Input should be a finite number"),
        ({"grow": "all"}, "grow: Input should be '41%max', 'suv4' or 'liver'"),
        ({"formats": "png,jpeg"}, "formats: Input should be 'png', 'nifti', 'seg', 'sr' or 'suv'"),
        ({"series": "../1"}, "series"),
        ({"colour": "SECRET"}, "unknown options: colour; known: pixel_spacing, formats, window, grow"),
        ({"<b>SECRET": "1"}, "unknown options; known: "),
        ({"weight": "70", "unit": "bqml"}, "the file is an image; for volumes only: unit, weight"),
    ],
)
def test_a_wrong_option_is_named(data: dict[str, str], detail: str) -> None:
    answer = ask(app_of(), files={"file": good_png()}, data=data)
    assert_problem(answer, 422, "invalid-request")
    assert detail in answer.json()["detail"]
    assert "SECRET" not in answer.text


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"json": {"img": "x"}}, 415, "content-type"),
        ({"content": PNG, "headers": {"Content-Type": "image/png"}}, 415, "content-type"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "invalid-upload"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400, "invalid-upload"),
        ({"files": {"other": PNG}}, 400, "invalid-upload"),
        ({"files": {"file": b""}}, 400, "invalid-upload"),
        ({"data": {"file": "text"}, "files": {"x": b"1"}}, 400, "invalid-upload"),
        ({"files": [("file", PNG), ("file", PNG)]}, 400, "invalid-upload"),
        ({"files": {"file": PNG}, "data": {"unit": "x" * 2000}}, 400, "invalid-upload"),
        ({"files": {"file": PNG}, "data": {f"n{number}": "1" for number in range(20)}}, 400, "invalid-upload"),
        ({"files": {"file": PNG}, "headers": {"Content-Encoding": "gzip"}}, 415, "content-encoding"),
        ({"files": {"file": PNG[:5000]}}, 422, "invalid-image"),
        ({"files": {"file": save(np.zeros((8, 8, 3), np.uint8) + np.arange(3, dtype=np.uint8) * 99)}}, 422, "not-grey"),
    ],
)
def test_bad_uploads(request_: dict[str, Any], status: int, code: str) -> None:
    assert_problem(ask(app_of(), **request_), status, code)


def test_no_upload_is_larger_than_its_limit() -> None:
    app = app_of(max_upload_bytes=100_000, max_body_bytes=50_000)
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        while sent < 2**24:
            sent += 1000
            yield bytes(1000)

    form = {"Content-Type": "multipart/form-data; boundary=b"}
    for content, headers in ((endless(), form), (b"x" * 200_000, form)):
        answer = ask(app, content=content, headers=headers)
        assert_problem(answer, 413, "body-too-large")
        assert answer.headers["connection"] == "close"
    assert sent <= 100_000 + 64 * 1024 + 1000
    assert_problem(ask(app, files={"file": good_png() + bytes(60_000)}), 413, "body-too-large")


def test_a_slow_upload_is_given_up() -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"--b\r\n"
        await asyncio.sleep(5)

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = ask(app_of(upload_deadline_s=0.05), content=slow(), headers=headers)
    assert_problem(answer, 408, "body-too-slow")


def upload_while_others_arrive(app: FastAPI, others: int, size: int) -> tuple[httpx.Response, list[httpx.Response]]:
    """The answers to an upload, and to others that had sent so many bytes of theirs before, and end theirs after it."""

    async def scenario() -> tuple[httpx.Response, list[httpx.Response]]:
        begun, free = asyncio.Semaphore(0), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
            for _ in range(size // 10_000):
                yield bytes(10_000)
            begun.release()
            await free.wait()
            yield b"\r\n--b--\r\n"

        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
            arriving = []
            for _ in range(others):
                arriving.append(asyncio.create_task(client.post("/v1/segment", content=slow(), headers=headers)))
                await asyncio.wait_for(begun.acquire(), 5)
            answer = await client.post("/v1/segment", files={"file": PNG[:5000]})
            free.set()
            return answer, await asyncio.gather(*arriving)

    return asyncio.run(scenario())


@pytest.mark.hazard("H5")
@pytest.mark.parametrize(("others", "size"), [(200, 10_000), (20, 500_000)])
def test_slow_uploads_keep_nobody_out(others: int, size: int) -> None:
    answer, slow = upload_while_others_arrive(app_of(max_jobs=others), others, size)
    assert_problem(answer, 422, "invalid-image")
    for ended in slow:
        assert_problem(ended, 422, "invalid-volume")


@pytest.mark.hazard("H5")
def test_an_upload_without_room_ends_the_one_that_began_first() -> None:
    # There is room for eight of the largest, each with 64 KiB beside its file.
    answer, (first, *others) = upload_while_others_arrive(app_of(max_upload_bytes=100_000, max_jobs=9), 9, 150_000)
    assert_problem(answer, 422, "invalid-image")
    assert_problem(first, 503, "busy")
    assert first.headers["connection"] == "close"
    for ended in others:
        assert_problem(ended, 422, "invalid-volume")


def test_little_of_an_upload_is_in_memory() -> None:
    load_segmenter().load()  # whose files are larger
    app = app_of()
    upload_while_others_arrive(app, 1, 10_000)  # what the first upload loads is no part of others
    tracemalloc.start()
    try:
        answer, _ = upload_while_others_arrive(app, 20, 1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 4_500_000
    finally:
        tracemalloc.stop()
    assert_problem(answer, 422, "invalid-image")
