"""The commands of the README, literally, on a fresh copy of the working tree with nothing installed."""

import base64
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mipseg.phantom import make_phantom

ROOT = Path(__file__).parents[2]
START_S = 240  # a set-up may have to download
Start = Callable[..., None]

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("git") is None or not (ROOT / ".git").exists(), reason="not a git checkout"),
    pytest.mark.skipif(shutil.which("uv") is None, reason="uv is missing, and these are its commands"),
]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that git knows or would take, as they are now, elsewhere."""
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without its virtual environment and settings of ours."""
    kept = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV" and not k.startswith("MIPSEG_")}
    return kept | changes


@pytest.fixture
def running(clone: Path) -> Iterator[Start]:
    """Start a shell command in the copy and wait until its port answers; all its processes end with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(command: str, port: int, **changes: str) -> None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                pytest.skip(f"port {port} is in use, and the literal command would end its holder")
        process = subprocess.Popen(
            ["bash", "-c", command], cwd=clone, env=environment(**changes), start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        started.append(process)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                pytest.fail(f"ended: {process.communicate()[0].decode()[-2000:]}")
            try:
                with urllib.request.urlopen(f"http://localhost:{port}/readyz", timeout=5):
                    return
            except OSError:
                time.sleep(0.3)
        pytest.fail(f"{command}: nothing answers on port {port}")

    yield start
    for process in started:
        with suppress(ProcessLookupError):  # it may have ended by itself, which the test tells
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.communicate()


def curl(port: int) -> np.ndarray:
    """The README's curl command with a small image; gives the mask."""
    mip = make_phantom(1, height=96).mip
    buffer = io.BytesIO()
    Image.fromarray(mip).save(buffer, "PNG")
    body = json.dumps({"img": base64.b64encode(buffer.getvalue()).decode()})
    answer = subprocess.run(
        ["curl", "-sS", "-X", "POST", f"http://localhost:{port}/tumor/predict", "-H", "Content-Type: application/json",
         "-d", body], check=True, capture_output=True,
    ).stdout  # fmt: skip
    content = json.loads(answer)
    assert list(content) == ["img"]
    mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(content["img"]))))
    assert mask.shape == (*mip.shape, 3)
    return mask


def test_the_members_groups_agree() -> None:
    groups = [
        tomllib.loads((ROOT / member / "pyproject.toml").read_text())["dependency-groups"]["dev"]
        for member in ("segmentation", "shared", "judge")
    ]
    assert groups[0] == groups[1] == groups[2]
    root = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert root["tool"]["uv"]["workspace"]["members"] == ["judge", "segmentation", "shared"]
    assert sorted(root["project"]["dependencies"]) == sorted(groups[0])


def test_example_py(clone: Path) -> None:
    command = "cd segmentation && uv sync && uv run python example.py"
    done = subprocess.run(["bash", "-c", command], cwd=clone, env=environment(), check=True, capture_output=True)
    dice = re.search(r"phantom_2: Dice (0\.\d+|1\.0+)", done.stdout.decode())
    assert dice
    assert float(dice[1]) > 0.3
    assert (clone / "segmentation/prediction.png").read_bytes().startswith(b"\x89PNG")


def test_api_py(running: Start) -> None:
    running("cd segmentation && uv run python api.py", 9051)
    curl(9051)
    with urllib.request.urlopen("http://localhost:9051/") as page:
        assert "running" in page.read().decode()


def test_uv_run_api(running: Start) -> None:
    running("cd shared && uv sync && uv run api", 8000)
    curl(8000)


def test_whatever_else_is_set_up_the_running_service_keeps_working(
    running: Start, clone: Path, request: pytest.FixtureRequest
) -> None:
    example = clone / "segmentation/example.py"
    original = example.read_text()
    request.addfinalizer(lambda: example.write_text(original))  # other tests share the copy
    running("cd segmentation && uv sync -q && uv run api --port 8123", 8123)
    for folder in ("segmentation", "shared", "judge", "."):
        subprocess.run(["bash", "-c", f"cd {folder} && uv sync -q"], cwd=clone, env=environment(), check=True)
        curl(8123)
        with urllib.request.urlopen("http://localhost:8123/docs") as page:
            assert "documentation" in page.read().decode()
        # What is imported late is still there: a new version of example.py, and the judge's packages.
        example.write_text(original + "\nimport matplotlib.pyplot, httpx, rich, sqlalchemy, psutil\n")
        time.sleep(3)
        curl(8123)
    done = subprocess.run(
        ["bash", "-c", "cd segmentation && uv run --no-sync validate --help && uv run --no-sync judge --help"],
        cwd=clone, env=environment(), check=True, capture_output=True,
    )  # fmt: skip
    assert b"usage: validate" in done.stdout


def test_activated_environment(running: Start, clone: Path) -> None:
    subprocess.run(["bash", "-c", "cd segmentation && uv sync -q"], cwd=clone, env=environment(), check=True)
    running("source .venv/bin/activate && cd segmentation && python api.py", 9051)
    curl(9051)


def test_make_api_where_uv_is_missing(running: Start, tmp_path: Path) -> None:
    # Every program but uv.
    for folder in os.environ["PATH"].split(os.pathsep):
        for program in Path(folder).glob("*") if folder else []:
            if program.name not in ("uv", "uvx") and not (tmp_path / program.name).exists():
                (tmp_path / program.name).symlink_to(program)
    running("rm -rf .venv && make api", 8000, PATH=str(tmp_path))
    curl(8000)


@pytest.mark.skipif(not os.environ.get("CI"), reason="installs everything with pip; runs in CI")
def test_pip_install_requirements(clone: Path, running: Start) -> None:
    command = "python3 -m venv pipenv && cd segmentation && ../pipenv/bin/pip install -q -r requirements.txt"
    subprocess.run(["bash", "-c", command], cwd=clone, env=environment(), check=True, capture_output=True)
    running("cd segmentation && ../pipenv/bin/python api.py", 9051)
    curl(9051)
