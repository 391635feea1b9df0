import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from mipseg.io.codec import encode_request
from mipseg.settings import project_root

IMAGE = np.repeat(np.random.default_rng(0).integers(0, 256, (120, 110, 1), np.uint8), 3, axis=2)
BUILT_IN, BASELINE = "return segment_image(img, load_segmenter())", "return get_threshold_segmentation(img, 50)"
LIVE_S = 3.0


@pytest.mark.long
def test_the_service_follows_every_change_of_example(start: Callable[..., Any], port: int, tmp_path: Path) -> None:
    for name in ("example.py", "utils.py"):
        shutil.copy(project_root() / "segmentation" / name, tmp_path)
    example = tmp_path / "example.py"
    original = example.read_text("utf-8")
    assert f"make this line: {BASELINE}" in original
    assert original.count(BUILT_IN) == 1
    expected = np.where(IMAGE < 50, 255, 0)

    service = start(port, MIPSEG_API_TASK_DIR=str(tmp_path))
    service.wait_until_it_answers("/readyz")
    processes, uptime = service.tree(), httpx.get(service.url("/api")).json()["uptime_s"]
    first = service.predict(IMAGE)
    assert (first != expected).any()

    example.write_text(original.replace(f"    {BUILT_IN}", f"    {BASELINE}"), "utf-8")
    service.wait_until(lambda: np.array_equal(service.predict(IMAGE), expected), LIVE_S)

    example.write_text(original.replace("def predict(img: Image)", "def predict(img: Image"), "utf-8")
    service.wait_until(lambda: ask(service).status_code == 503, LIVE_S)
    began = time.monotonic()
    problem = ask(service).json()
    assert time.monotonic() - began < 1
    assert problem["code"] == "model-unavailable"
    assert re.fullmatch(r"SyntaxError: .* \(example\.py, line \d+\)", problem["detail"])
    assert httpx.get(service.url("/readyz")).status_code == 503

    example.write_text(original, "utf-8")
    service.wait_until(lambda: ask(service).status_code == 200, LIVE_S)
    np.testing.assert_array_equal(service.predict(IMAGE), first)
    service.wait_until_it_answers("/readyz")

    # It is the same process all the time, so the built-in networks are still those of the start.
    assert service.tree() == processes
    assert httpx.get(service.url("/api")).json()["uptime_s"] > uptime
    assert service.log.count(f'"predict": "{example}"') == 3
    assert "change detected" not in service.log  # the log itself lies in the watched folder
    lines = [json.loads(line) for line in service.log.splitlines() if line.startswith("{")]
    assert [line["event"] for line in lines if line["event"] in ("ready", "user_code_failed")] == [
        "ready",
        "user_code_failed",
        "ready",
    ]
    assert any(line["event"] == "request" and line["status"] == 200 for line in lines)


def ask(service: Any) -> httpx.Response:
    return httpx.post(service.url("/tumor/predict"), json={"img": encode_request(IMAGE)}, timeout=10)
