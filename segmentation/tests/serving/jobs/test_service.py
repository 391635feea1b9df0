"""Jobs of a whole service: from the upload to the files, restarts, crashes, and predictions beside a job."""

import asyncio
import io
import json
import socket
import stat
import statistics
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import psutil
import pytest
from pydicom import dcmread

from mipseg.engines.cases import Case
from mipseg.engines.plan import Options, Plan, provenance
from mipseg.engines.segment_case import segment_case
from mipseg.io.mask_png import decode_rgb, encode_png
from mipseg.phantom import SPACING_MM, make_volume_phantom
from mipseg.settings import Settings
from tests.io.pet_files import make_slices, write_nifti, write_slices
from tests.serving.answers import GOOD, assert_mask, assert_problem
from tests.serving.jobs.test_store import NRRD
from tests.serving.jobs.test_worker import zip_of
from tests.serving.server import Server

pytestmark = pytest.mark.long

WAIT_S = 280  # of a busy machine, where jobs come last
HEIGHT = 160  # rows of the phantom, a third of a body
PATIENT = "Doe^John"


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A phantom's volume as NIfTI, in SUV."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = *SPACING_MM, 1
    file = tmp_path_factory.mktemp("nifti") / "phantom.nii.gz"
    return write_nifti(file, make_volume_phantom(2, height=HEIGHT).suv, affine).read_bytes()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The same as a ZIP of DICOM files."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = *SPACING_MM, 1
    stored = np.rint(make_volume_phantom(2, height=HEIGHT).suv * 1000).astype(np.int16)  # slope 0.5, 0.002 SUV ml/Bq
    slices = make_slices(stored, affine, PatientName=PATIENT)
    return zip_of(write_slices(tmp_path_factory.mktemp("dicom"), slices))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as server:
        server.wait_until_ready()
        yield server


def serving(folder: Path) -> Server:
    return Server(folder, settings={"MIPSEG_JOBS_DIR": str(folder / "jobs"), "MIPSEG_BFLOAT16": "0"})


def upload(server: Server, content: bytes, **options: Any) -> str:
    """The address of the job that became of a volume."""
    answer = server.client.post("/v1/segment", files={"file": (f"{PATIENT}.zip", content)}, data=options)
    assert answer.status_code == 202, answer.text
    return str(answer.headers["location"])


def follow(server: Server, location: str, *states: str) -> dict[str, Any]:
    """A job when it has come into one of these states; its progress never goes back."""
    end, progress = time.monotonic() + WAIT_S, 0.0
    while time.monotonic() < end:
        found: dict[str, Any] = server.client.get(location).json()
        assert found["progress"] >= progress
        progress = found["progress"]
        if found["state"] in states:
            return found
        assert found["state"] in ("queued", "running"), found
        time.sleep(0.05)
    pytest.fail(f"the job is {found}")


def wait_until_at_work(server: Server, location: str) -> psutil.Process:
    """The process of a job that has begun to read."""
    while follow(server, location, "running")["progress"] == 0:
        time.sleep(0.05)
    (process,) = psutil.Process(server.process.pid).children()
    return process


def test_a_nifti_and_a_zip_of_dicom_from_upload_to_files(
    server: Server, tmp_path: Path, volume: bytes, archive: bytes
) -> None:
    options = {"grow": "suv4", "formats": "png,nifti,seg,sr,suv"}
    locations = {content: upload(server, content, **options) for content in (volume, archive)}
    settings = Settings(bfloat16=False)
    for content, location in locations.items():
        found = follow(server, location, "done")
        (tmp_path / "upload").write_bytes(content)
        chosen = Options(("png", "nifti", "seg", "sr", "suv"), rule="suv4")
        created = datetime.fromisoformat(found["created"])
        plan = Plan(tmp_path / location[-8:], settings, chosen, provenance(settings), created)
        outcome = segment_case(Case("upload", tmp_path / "upload"), plan)
        assert [file["name"] for file in found["files"]] == [*outcome.files, "measurements.csv"]
        assert ("seg.dcm" in outcome.files) == (content is archive)
        for file in found["files"]:
            answer = server.client.get(f"{location}/result/{file['name']}")
            assert len(answer.content) == file["size"]
            if file["name"] != "measurements.csv":
                assert answer.content == (plan.out / "upload" / file["name"]).read_bytes()
        assert outcome.lesions
        folder = server.log_file.parent / "jobs" / location[-32:]
        assert {file.name for file in folder.iterdir()} == {"job.json", "upload", "results-0"}
        assert {stat.S_IMODE(file.stat().st_mode) for file in (folder / "results-0/upload").iterdir()} == {0o600}
    server.last_answered()
    assert PATIENT not in server.log()
    assert not [line for line in server.log().splitlines() if any(url[-32:] in line for url in locations.values())]


def test_a_killed_service_goes_on_with_its_jobs(tmp_path: Path, archive: bytes) -> None:
    with serving(tmp_path) as server:
        server.wait_until_ready()
        locations = [upload(server, archive) for _ in range(2)]
        process = wait_until_at_work(server, locations[0])
        server.process.kill()
        process.wait(10)
    with serving(tmp_path) as server:
        server.wait_until_ready()
        masks = set()
        for location in locations:
            follow(server, location, "done")
            masks.add(server.client.get(f"{location}/result/mask.nii.gz").content)
        assert len(masks) == 1


def test_a_correction_goes_on_after_a_kill_and_gives_new_files(tmp_path: Path, archive: bytes) -> None:
    with serving(tmp_path) as server:
        server.wait_until_ready()
        location = upload(server, archive)
        follow(server, location, "done")
        mask = decode_rgb(server.client.get(f"{location}/result/mask.png").content)[:, :, 0] != 0
        row, column = np.argwhere(mask)[0]
        mask[row : row + 40, column - 20 : column + 20] = False
        headers = {"Content-Type": "image/png"}
        answer = server.client.put(f"{location}/mask", content=encode_png(mask), headers=headers)
        assert (answer.status_code, answer.json()["state"]) == (202, "queued"), answer.text
        process = wait_until_at_work(server, location)
        server.process.kill()
        process.wait(10)
    with serving(tmp_path) as server:
        server.wait_until_ready()
        found = follow(server, location, "done")
        assert (found["corrections"], found["problem"]) == (1, None)
        files = {
            file["name"]: server.client.get(f"{location}/result/{file['name']}").content for file in found["files"]
        }
        np.testing.assert_array_equal(decode_rgb(files["mask.png"])[:, :, 0] != 0, mask)
        lesions = json.loads(files["measurements.json"])["lesions"]
        segments = dcmread(io.BytesIO(files["seg.dcm"])).SegmentSequence
        assert [segment.SegmentAlgorithmType.lower() for segment in segments] == [one["origin"] for one in lesions]
        assert {one["origin"] for one in lesions} == {"semiautomatic"}
        server.last_answered()
        assert PATIENT not in server.log()


def test_a_job_is_deleted_while_it_runs(server: Server, archive: bytes) -> None:
    location, next_location = upload(server, archive), upload(server, archive)
    process = wait_until_at_work(server, location)
    assert process.nice() == min(19, psutil.Process(server.process.pid).nice() + 10)
    assert server.client.delete(location).status_code == 204
    assert not process.is_running()
    assert location[-32:] not in [file.name for file in (server.log_file.parent / "jobs").iterdir()]
    assert server.client.get(location).json()["state"] == "cancelled"
    follow(server, next_location, "done")


@pytest.mark.parametrize("size", [0, 5_000_000])  # much at once makes the server stop reading
def test_who_leaves_with_the_last_byte_leaves_no_job(server: Server, size: int) -> None:
    request, request_id = httpx.Request("POST", "/v1/segment", files={"file": NRRD + bytes(size)}), uuid4().hex
    head = f"POST /v1/segment HTTP/1.1\r\nHost: x\r\nX-Request-ID: {request_id}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    folder = server.log_file.parent / "jobs"
    before = set(folder.glob("*/"))
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)  # the last byte and the end travel together
        connection.sendall(f"{head}\r\n".encode() + request.read())
    entries = server.log_of([request_id])
    assert [entry["status"] for entry in entries if entry["event"] == "request"] == [499]
    assert set(folder.glob("*/")) == before


def test_a_process_that_dies_takes_nothing_with_it(server: Server, archive: bytes) -> None:
    location, next_location = upload(server, archive), upload(server, archive)
    wait_until_at_work(server, location).kill()
    found = follow(server, location, "failed")
    assert found["problem"]["code"] == "job-lost"
    assert_problem(server.client.get(f"{location}/result/mask.nii.gz"), 409, "job-not-done")
    follow(server, next_location, "done")


def test_damaged_uploads_fail_by_name(server: Server, archive: bytes, volume: bytes) -> None:
    random = np.random.default_rng(1)
    damaged = bytearray(archive)
    for place in random.integers(0, len(archive), 2000):
        damaged[place] = random.integers(256)
    for content in (archive[: len(archive) // 2], bytes(damaged), volume[: len(volume) // 2]):
        problem = follow(server, upload(server, content), "failed")["problem"]
        assert problem["code"] == "invalid-volume"
        assert problem["title"] == "The file can't be read"
        assert problem["detail"].startswith("upload is not a sound")


def test_predictions_go_first(server: Server, archive: bytes) -> None:
    def seconds() -> float:
        started = time.perf_counter()
        assert_mask(server.client.post("/predict", json={"img": GOOD}), (96, 80))
        return time.perf_counter() - started

    alone = statistics.median(seconds() for _ in range(10))
    location = upload(server, archive)
    wait_until_at_work(server, location)
    beside = []
    while server.client.get(location).json()["state"] == "running":
        beside.append(seconds())
    assert len(beside) >= 3
    assert max(beside) < 9  # else the service gives up with 503
    assert statistics.median(beside) < 5 * alone + 0.1


def test_two_clients_upload_at_once(server: Server, archive: bytes, volume: bytes) -> None:
    async def both() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            posts = (client.post("/v1/segment", files={"file": content}) for content in (archive, volume))
            return await asyncio.gather(*posts)

    answers = asyncio.run(both())
    assert [answer.status_code for answer in answers] == [202, 202]
    found = [follow(server, answer.headers["location"], "done") for answer in answers]
    assert ["seg.dcm" in {file["name"] for file in job["files"]} for job in found] == [True, False]
