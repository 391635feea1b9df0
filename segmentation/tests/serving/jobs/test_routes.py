"""`/v1/jobs` and what `/v1/segment` says of volumes, without a process that works the jobs off."""

import asyncio
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from mipseg.io.mask_png import decode_binary
from mipseg.model.segmenter import load_segmenter
from mipseg.serving import problems
from mipseg.serving.app import create_app
from mipseg.serving.jobs.job import ResultFile
from mipseg.serving.jobs.routes import make_job_router
from mipseg.serving.jobs.runner import JobRunner
from mipseg.serving.jobs.store import JobStore
from mipseg.serving.routes import CLIENT_GONE
from mipseg.settings import Settings
from tests.serving.answers import assert_problem
from tests.serving.jobs.test_store import NRRD, add, add_done, write_results

Ask = Callable[..., httpx.Response]


def asking(app: FastAPI) -> Ask:
    def ask(method: str, path: str, **request: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
                return await client.request(method, path, **request)

        return asyncio.run(send())

    return ask


def service_with(folder: Path, **settings: Any) -> Ask:
    """A whole service that does not work its jobs off."""
    return asking(create_app(np.zeros_like, load_segmenter(), Settings(jobs_dir=folder / "jobs", **settings)))


def upload(ask: Ask, content: bytes = NRRD, **options: Any) -> httpx.Response:
    return ask("POST", "/v1/segment", files={"file": ("Doe^John.nrrd", content)}, data=options)


def test_who_leaves_before_the_answer_leaves_no_job(tmp_path: Path) -> None:
    """A client that cancels after its last byte does not learn the job's address."""
    app = create_app(np.zeros_like, load_segmenter(), Settings(jobs_dir=tmp_path / "jobs"))
    request = httpx.Request("POST", "http://t/v1/segment", files={"file": NRRD})
    headers = [(name.lower(), value) for name, value in request.headers.raw]
    scope = {
        "type": "http", "method": "POST", "path": "/v1/segment", "query_string": b"", "headers": headers,
        "http_version": "1.1", "scheme": "http", "root_path": "",
    }  # fmt: skip
    messages = iter([{"type": "http.request", "body": request.read()}])
    sent = []

    async def receive() -> Any:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == CLIENT_GONE
    assert not [folder for folder in (tmp_path / "jobs").iterdir() if folder.is_dir()]


def test_a_volume_is_accepted_as_a_job(tmp_path: Path) -> None:
    ask = service_with(tmp_path)
    answer = upload(ask, grow="suv4", unit="bqml", weight=70, dose="7e7", formats="seg, png", window=5)
    assert answer.status_code == 202, answer.text
    found = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{found['id']}"
    assert answer.headers["cache-control"] == "no-store"
    created = found.pop("created")
    assert created.endswith("Z")
    assert found == {
        "id": found["id"],
        "state": "queued",
        "progress": 0.0,
        "doing": "waiting for its turn",
        "expires": None,
        "files": [],
        "problem": None,
        "corrections": 0,
    }
    assert ask("GET", answer.headers["location"]).json() == found | {"created": created}
    record = (tmp_path / "jobs" / found["id"] / "job.json").read_text()
    assert json.loads(record)["options"] == {
        "formats": ["seg", "png"],
        "window_top": 5.0,
        "rule": "suv4",
        "series": None,
        "unit": "bqml",
        "weight_kg": 70.0,
        "dose_bq": 7e7,
    }
    assert "Doe" not in record


def test_a_job_of_its_client_is_nobody_else_s(tmp_path: Path) -> None:
    ask = service_with(tmp_path)
    first, second = (upload(ask).headers["location"] for _ in range(2))
    assert first != second
    answer = ask("DELETE", first)
    assert (answer.status_code, answer.content) == (204, b"")
    assert ask("GET", first).json()["state"] == "cancelled"
    assert ask("GET", second).json()["state"] == "queued"
    assert_problem(ask("GET", f"{first}/result/mask.png"), 409, "job-not-done")
    assert ask("DELETE", first).status_code == 204
    for method, path in (("GET", first), ("DELETE", first), ("GET", f"{first}/result/mask.png")):
        assert_problem(ask(method, path), 404, "unknown-job")


def test_the_proxy_s_path_is_part_of_the_location(tmp_path: Path) -> None:
    app = create_app(np.zeros_like, load_segmenter(), Settings(jobs_dir=tmp_path))
    app.root_path = "/mipseg"
    assert upload(asking(app)).headers["location"].startswith("/mipseg/v1/jobs/")


def test_a_slash_at_the_end_changes_no_limit(tmp_path: Path) -> None:
    ask = service_with(tmp_path, max_body_bytes=2000, max_upload_bytes=10_000)
    answer = ask("POST", "/v1/segment/", files={"file": NRRD + bytes(4000)})
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    assert_problem(ask("POST", "/v1/segment/", files={"file": NRRD + bytes(100_000)}), 413, "body-too-large")
    assert_problem(ask("POST", "/v1/other", content=bytes(4000)), 413, "body-too-large")


@pytest.mark.parametrize(
    ("content", "options", "code", "detail"),
    [
        (b"neither", {}, "invalid-volume", "the file is neither DICOM, NIfTI, MHA, NRRD nor ZIP"),
        (b"\x1f\x8b\x08 gzip of nothing", {}, "invalid-volume", "the file is neither"),
        (NRRD, {"pixel_spacing": "2,2"}, "invalid-request", "the file is a volume; for images only: pixel_spacing"),
        (NRRD, {"grow": "all"}, "invalid-request", "grow: Input should be"),
    ],
)
def test_bad_volumes_are_refused_at_once(
    tmp_path: Path, content: bytes, options: dict[str, str], code: str, detail: str
) -> None:
    answer = upload(service_with(tmp_path), content, **options)
    assert_problem(answer, 422, code)
    assert answer.json()["detail"].startswith(detail)


def test_bounds_are_told_before_the_volume_is_sent(tmp_path: Path) -> None:
    ask = service_with(tmp_path, max_jobs=1, max_body_bytes=2000)
    assert upload(ask).status_code == 202
    answers = [upload(ask), upload(ask, NRRD + bytes(4000))]
    for answer in answers:
        assert_problem(answer, 429, "jobs-full")
        assert int(answer.headers["retry-after"]) > 0
    assert ["connection" in answer.headers for answer in answers] == [False, True]  # the large one is not read
    ask = service_with(tmp_path / "other", max_jobs_bytes=1000)
    assert_problem(upload(ask), 507, "disk-full")


def routes_alone(folder: Path) -> tuple[JobStore, Ask]:
    settings = Settings(jobs_dir=folder, job_lifetime_s=60)
    store, app = JobStore(settings), FastAPI()
    app.include_router(make_job_router(store, JobRunner(store, settings), settings))
    problems.install(app)
    problems.add_request_ids(app)
    return store, asking(app)


def test_results(tmp_path: Path) -> None:
    store, ask = routes_alone(tmp_path)
    job = add(store)
    store.begin_next()
    write_results(store, job)
    store.finish(job.id, (ResultFile(name="mask.nii.gz", size=3, type="application/gzip"),))
    found = ask("GET", f"/v1/jobs/{job.id}").json()
    assert (found["state"], found["progress"], found["expires"] > found["created"]) == ("done", 1.0, True)
    assert found["files"] == [{"name": "mask.nii.gz", "size": 3, "type": "application/gzip"}]
    answer = ask("GET", f"/v1/jobs/{job.id}/result/mask.nii.gz")
    assert (answer.status_code, answer.content) == (200, b"abc")
    assert answer.headers["content-type"] == "application/gzip"
    assert answer.headers["content-disposition"] == 'attachment; filename="mask.nii.gz"'
    assert answer.headers["cache-control"] == "no-store"
    for name in ("mask.png", "job.json", "upload", "..\\job.json"):
        assert_problem(ask("GET", f"/v1/jobs/{job.id}/result/{name}"), 404, "unknown-result")
    assert_problem(ask("GET", f"/v1/jobs/{job.id}/result/..%2F..%2Fjob.json"), 404, "not-found")


def test_results_that_were_removed_from_the_disk(tmp_path: Path) -> None:
    store, ask = routes_alone(tmp_path)
    job = add_done(store)
    shutil.rmtree(store.folder_of(job))
    answers = ask("GET", f"/v1/jobs/{job.id}/result/mip.png"), put(ask, f"/v1/jobs/{job.id}", png(MASK))
    for answer in answers:
        assert_problem(answer, 404, "unknown-result")
        assert answer.json()["detail"] == "the file was removed from the service's disk; send the volume again"


def png(pixels: np.ndarray, mode: str | None = None) -> bytes:
    buffer = io.BytesIO()
    picture = Image.fromarray(pixels)
    (picture if mode is None else picture.convert(mode)).save(buffer, "PNG")
    return buffer.getvalue()


MASK = np.zeros((5, 4), np.uint8)
MASK[1:3, 2] = 255


@pytest.fixture
def done(tmp_path: Path) -> tuple[JobStore, Ask, str]:
    """A job that is done, with a projection of 5 x 4 pixels."""
    store, ask = routes_alone(tmp_path)
    job = add_done(store)
    (store.folder_of(job) / "results-0/upload/mip.png").write_bytes(png(np.full((5, 4), 200, np.uint8)))
    return store, ask, f"/v1/jobs/{job.id}"


def put(ask: Ask, location: str, content: bytes, kind: str = "image/png") -> httpx.Response:
    return ask("PUT", f"{location}/mask", content=content, headers={"Content-Type": kind})


@pytest.mark.parametrize(
    "content",
    [png(MASK), png(MASK, "1"), png(MASK, "RGB"), png(MASK, "P"), png(np.dstack([MASK] * 4)), png(MASK, "RGBA")],
    ids=["grey", "1 bit", "RGB", "palette", "transparent", "opaque"],
)
def test_a_corrected_mask_is_taken(done: tuple[JobStore, Ask, str], content: bytes) -> None:
    store, ask, location = done
    answer = put(ask, location, content)
    assert answer.status_code == 202, answer.text
    assert (answer.headers["location"], answer.headers["cache-control"]) == (location, "no-store")
    found = answer.json()
    assert (found["state"], found["progress"], found["corrections"], found["files"]) == ("queued", 0.0, 1, [])
    assert (found["expires"], found["problem"]) == (None, None)
    assert ask("GET", location).json() == found
    kept = store.folder_of(store.get(location[-32:])) / "correction.png"
    np.testing.assert_array_equal(decode_binary(kept.read_bytes()), MASK == 255)
    assert_problem(put(ask, location, content), 409, "job-not-done")


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "img is not a PNG"),
        (png(MASK)[:-20], "the PNG is cut off"),
        (png(MASK[:, :3]), "the mask's shape is (5, 3, 3), but the image's is (5, 4, 3)"),
        (png(MASK // 255), "the mask may hold only 0 and 255, but 6 values are others, such as 1"),
        (png(np.dstack([MASK, MASK * 0, MASK * 0])), "the mask's three channels must be equal"),
        (png(np.dstack([MASK * 0] * 3 + [MASK])), "the mask's alpha is neither the same everywhere"),
    ],
    ids=["nothing", "cut", "shape", "labels", "red", "in its alpha"],
)
def test_what_is_no_mask_of_it_is_refused(done: tuple[JobStore, Ask, str], content: bytes, detail: str) -> None:
    _, ask, location = done
    answer = put(ask, location, content)
    assert_problem(answer, 422, "invalid-mask")
    assert answer.json()["detail"].startswith(detail)
    assert answer.json()["detail"].endswith(
        "; send a PNG of 5 x 4 pixels (rows, columns), 255 where there is tumour, else 0"
    )
    assert ask("GET", location).json()["state"] == "done"


def test_a_mask_that_nobody_can_take(done: tuple[JobStore, Ask, str]) -> None:
    store, ask, location = done
    assert_problem(put(ask, location, png(MASK), "application/json"), 415, "content-type")
    assert_problem(put(ask, f"/v1/jobs/{'0' * 32}", png(MASK)), 404, "unknown-job")
    waiting = add(store)
    assert_problem(put(ask, f"/v1/jobs/{waiting.id}", png(MASK)), 409, "job-not-done")
    store.forget(waiting.id)
    image = add_done(store, "image")
    assert_problem(put(ask, f"/v1/jobs/{image.id}", png(MASK)), 409, "job-not-correctable")


def test_a_mask_is_bounded_and_may_come_from_named_origins(tmp_path: Path) -> None:
    ask = service_with(tmp_path, max_body_bytes=1024, cors_origins="https://a.example")
    assert_problem(put(ask, f"/v1/jobs/{'0' * 32}", bytes(1025)), 413, "body-too-large")
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "PUT"}
    assert ask("OPTIONS", f"/v1/jobs/{'0' * 32}/mask", headers=asked).status_code == 200
