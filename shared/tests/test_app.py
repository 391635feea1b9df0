import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mipseg.model.segmenter import Segmenter, load_segmenter
from mipseg.pipeline import segment_image
from mipseg.settings import project_root
from mipserve.app import load_predict

EXAMPLE = project_root() / "segmentation"  # whose example.py is served, by way of which matplotlib could come
IMAGE = np.repeat(np.random.default_rng(0).integers(0, 256, (120, 110, 1), np.uint8), 3, axis=2)


@pytest.fixture
def task_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "example", raising=False)
    yield tmp_path
    sys.modules.pop("example", None)


def test_without_example_the_built_in_model_predicts(tmp_path: Path) -> None:
    segmenter = load_segmenter()
    np.testing.assert_array_equal(load_predict(tmp_path, segmenter)(IMAGE), segment_image(IMAGE, segmenter))


def test_the_users_predict_is_taken(task_dir: Path) -> None:
    (task_dir / "helper.py").write_text("VALUE = 7\n")
    (task_dir / "example.py").write_text("from helper import VALUE\ndef predict(img):\n    return img * 0 + VALUE\n")
    assert load_predict(task_dir, Segmenter(task_dir))(IMAGE).max() == 7


def test_an_example_without_predict_is_an_error(task_dir: Path) -> None:
    (task_dir / "example.py").write_text("")
    with pytest.raises(AttributeError, match="'example' has no attribute 'predict'"):
        load_predict(task_dir, Segmenter(task_dir))


def test_serving_loads_no_training_framework() -> None:
    unwanted = {"torch", "monai", "lightning", "matplotlib"}
    code = f"import sys, mipserve.app; mipserve.app.make_app(); print(sorted({unwanted} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=EXAMPLE, capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
