"""The wheels, installed into an empty environment: they segment and serve, without the repository beside them."""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from mipseg.model.segmenter import load_segmenter
from mipseg.phantom import make_phantom
from mipseg.pipeline import analyze_image
from mipseg.settings import Settings
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
START_S = 60
SEGMENT = """
import json, sys
from mipseg.model.segmenter import load_segmenter
from mipseg.pipeline import analyze_file
result = analyze_file(sys.argv[1], load_segmenter())
found = {"area": int(result.tumour.sum()), "modules": sorted(sys.modules)}
json.dump(found | {"file": sys.modules["mipseg"].__file__}, sys.stdout)
"""

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("uv") is None, reason="uv is missing, which builds the wheels"),
]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of all members."""
    folder = tmp_path_factory.mktemp("wheels")
    run(["uv", "build", "--quiet", "--all-packages", "--wheel", "--out-dir", str(folder)], ROOT)
    return folder


def run(command: list[str], folder: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV" and not k.startswith("MIPSEG_")}
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


def install(folder: Path, wheels: Path, *packages: str) -> Path:
    """Make an environment with some of the wheels; gives its folder of programs."""
    run(["uv", "venv", "--quiet", "--python", sys.executable, str(folder / "env")], folder)
    python = folder / "env/bin/python"
    run(["uv", "pip", "install", "--quiet", "--python", str(python), "--find-links", str(wheels), *packages], folder)
    return python.parent


def test_the_core_segments_a_file_and_needs_little_else(wheels: Path, tmp_path: Path) -> None:
    programs = install(tmp_path, wheels, "mipseg")
    image = make_phantom(2).mip
    Image.fromarray(image).save(tmp_path / "image.png")
    found = json.loads(run([str(programs / "python"), "-c", SEGMENT, "image.png"], tmp_path))
    assert found["file"].startswith(str(tmp_path))
    expected = analyze_image(image, load_segmenter(Settings(bfloat16=False))).tumour.sum()
    assert found["area"] == pytest.approx(expected, rel=0.01)
    assert not {"fastapi", "matplotlib", "torch", "httpx", "sqlalchemy"} & set(found["modules"])
    listed = run(["uv", "pip", "list", "--quiet", "--python", str(programs / "python"), "--format", "json"], tmp_path)
    names = {package["name"] for package in json.loads(listed)}
    assert {"numpy", "scipy", "pillow", "onnxruntime", "pydantic-settings"} < names
    assert len(names) < 24  # the command needs Typer and Rich


def test_the_service_serves(wheels: Path, tmp_path: Path) -> None:
    programs = install(tmp_path, wheels, "mipserve")
    port = free_port()
    with (tmp_path / "log").open("wb") as log:
        command = [str(programs / "api"), "--port", str(port), "--no-reload"]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    try:
        wait_until_ready(port, process, tmp_path / "log")
        image = make_phantom(2).mip
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        body = {"img": base64.b64encode(buffer.getvalue()).decode()}
        answer = httpx.post(f"http://127.0.0.1:{port}/tumor/predict", json=body, timeout=20)
        mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer.json()["img"]))))
        assert mask.shape == (*image.shape, 3)
        assert mask.any()
        assert "MIPseg" in httpx.get(f"http://127.0.0.1:{port}/").text
        assert httpx.get(f"http://127.0.0.1:{port}/scoreboard", timeout=30).status_code == 200
    finally:
        process.kill()
        process.wait()


def wait_until_ready(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    pytest.fail(f"not ready after {START_S} s:\n{log.read_text()}")
