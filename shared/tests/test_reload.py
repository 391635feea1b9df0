import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mipseg.settings import project_root

IMAGE = np.repeat(np.random.default_rng(0).integers(0, 256, (120, 110, 1), np.uint8), 3, axis=2)
BUILT_IN, BASELINE = "return segment_image(img, SEGMENTER)", "return get_threshold_segmentation(img, 50)"


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
    first = service.predict(IMAGE)
    assert (first != expected).any()

    example.write_text(original.replace(f"    {BUILT_IN}", f"    {BASELINE}"), "utf-8")
    service.wait_until(lambda: np.array_equal(service.predict(IMAGE), expected), 15)

    example.write_text(original.replace("def predict(img: Image)", "def predict(img: Image"), "utf-8")
    service.wait_until(lambda: "SyntaxError" in service.log)
    assert service.process.poll() is None

    example.write_text(original, "utf-8")
    service.wait_until(lambda: np.array_equal(service.predict(IMAGE), first), 15)

    # The reloaded process logs as the first one: one JSON object per line, but for the traceback.
    assert service.log.count(f'"predict": "{example}"') == 3
    assert "change detected" not in service.log  # the log itself lies in the watched folder
    lines = [json.loads(line) for line in service.log.splitlines() if line.startswith("{")]
    assert sum(line["event"] == "ready" for line in lines) >= 1
    assert any(line["event"] == "request" and line["status"] == 200 for line in lines)
