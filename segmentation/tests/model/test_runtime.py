import math
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from mipseg.errors import ModelError
from mipseg.io.arrays import intensity_of_image
from mipseg.metrics import dice_score
from mipseg.model import runtime
from mipseg.model.inference import Network, infer
from mipseg.model.postprocess import binarise
from mipseg.model.segmenter import MODELS
from mipseg.phantom import make_phantom
from mipseg.settings import Settings

FILE = MODELS / Settings().model / "network-0.onnx"
OPENVINO = pytest.mark.skipif(
    find_spec("openvino") is None, reason="OPENVINO IS NOT INSTALLED: its wheels are for x86-64"
)


@pytest.fixture(scope="module")
def bfloat16() -> Network:
    return Network(False, runtime.load_bfloat16(FILE.read_bytes(), 2))


@pytest.fixture(scope="module")
def float32() -> Network:
    return Network(False, runtime.load_float32(FILE.read_bytes(), 1))


@OPENVINO
@pytest.mark.parametrize(("seed", "height"), [(1, 489), (2, 991), (3, 200)])
def test_both_runtimes_give_nearly_the_same(bfloat16: Network, float32: Network, seed: int, height: int) -> None:
    intensity = intensity_of_image(make_phantom(seed, height=height).mip)
    probability, logit = infer(intensity, [bfloat16])
    reference, reference_logit = infer(intensity, [float32])
    assert np.abs(probability - reference).mean() < 1e-3
    assert logit == pytest.approx(reference_logit, rel=0.02, abs=0.1)  # bfloat16 has 8 bits
    assert dice_score(binarise(reference, 0.4, 0.3), binarise(probability, 0.4, 0.3)) > 0.95


@OPENVINO
def test_threads_at_once_each_get_their_own_answer(bfloat16: Network) -> None:
    images = [intensity_of_image(make_phantom(seed, height=200 + 64 * seed).mip) for seed in range(3) for _ in range(4)]
    alone = [infer(intensity, [bfloat16])[0] for intensity in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda intensity: infer(intensity, [bfloat16])[0], images))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


FIRST_CALLS_AT_ONCE = """
import sys, threading, time
from pathlib import Path
import numpy as np
from mipseg.model.runtime import load_bfloat16

networks = [load_bfloat16(Path(sys.argv[1]).read_bytes(), 1) for _ in range(2)]
threading.setprofile(lambda *_: time.sleep(0.001))  # the other thread goes on at every Python call
answers = []
image = np.zeros((64, 128), np.float32)
threads = [threading.Thread(target=lambda run=run: answers.append(run(image))) for run in networks]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(answers) == 2
"""


@OPENVINO
def test_first_calls_in_two_threads_at_once_end() -> None:
    # In a process of its own: only the first calls of a process can hang. The time allowed is for slow machines.
    subprocess.run([sys.executable, "-c", FIRST_CALLS_AT_ONCE, str(FILE)], timeout=60, check=True)


@OPENVINO
def test_openvino_is_loaded_without_its_telemetry(tmp_path: Path) -> None:
    (tmp_path / "openvino_telemetry.py").write_text("raise SystemExit('telemetry was imported')")
    code = "from mipseg.model.runtime import computes_in_bfloat16; computes_in_bfloat16(); import openvino"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    # The trap works: with nothing in its way, OpenVINO imports the package.
    assert subprocess.run([sys.executable, "-c", "import openvino"], cwd=tmp_path, check=False).returncode == 1


class NotFinite:
    """Stands in for OpenVINO: it gives NaN where bfloat16 may."""

    def __init__(self, tumour: float, patient: float) -> None:
        self._answer = tumour, patient

    def __getattr__(self, _: str) -> Callable[..., "NotFinite"]:
        return lambda *_: self

    def infer(self, inputs: list[np.ndarray]) -> dict[str, np.ndarray]:
        shape = (1, 1, *inputs[0].shape[2:])
        return {"tumour": np.full(shape, self._answer[0]), "patient": np.array([self._answer[1]])}


@pytest.mark.parametrize("answer", [(math.nan, 0.0), (math.inf, 0.0), (0.5, math.nan), (0.5, -math.inf)])
def test_float32_answers_where_bfloat16_is_not_finite(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, answer: tuple[float, float]
) -> None:
    content = FILE.read_bytes()
    monkeypatch.setattr(runtime, "_openvino_core", lambda: NotFinite(*answer))
    image = np.full((128, 128), 0.3, np.float32)
    tumour, logit = runtime.load_bfloat16(content, 1)(image)
    wanted, wanted_logit = runtime.load_float32(content, 1)(image)
    np.testing.assert_array_equal(tumour, wanted)
    assert logit == wanted_logit
    assert [record.getMessage() for record in caplog.records] == [
        "bfloat16 gave no finite answer for 128 x 128 pixels; float32 is taken"
    ]


def test_a_finite_answer_of_bfloat16_is_kept(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(runtime, "_openvino_core", lambda: NotFinite(0.5, -1.0))
    tumour, logit = runtime.load_bfloat16(b"", 1)(np.zeros((64, 128), np.float32))
    assert (tumour == 0.5).all()
    assert logit == -1
    assert not caplog.records


@pytest.mark.parametrize(("shape", "calls"), [((512, 512), 0), ((513, 512), 1)])
def test_the_memory_of_large_tiles_alone_is_given_back(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], calls: int
) -> None:
    core, given_back = NotFinite(0.5, -1.0), []

    def release_memory() -> None:
        given_back.append(shape)
        raise RuntimeError("OpenVINO says so while another thread computes")

    monkeypatch.setattr(core, "release_memory", release_memory, raising=False)
    monkeypatch.setattr(runtime, "_openvino_core", lambda: core)
    tumour, _ = runtime.load_bfloat16(b"", 1)(np.zeros(shape, np.float32))
    assert (tumour == 0.5).all()
    assert given_back == [shape] * calls


def test_no_finite_answer_in_float32_is_an_error() -> None:
    with pytest.raises(ModelError, match="not finite"):
        runtime.load_float32(FILE.read_bytes(), 1)(np.full((64, 128), np.nan, np.float32))


@OPENVINO
@pytest.mark.parametrize("shape", [(2336, 3), (1800, 64), (3000, 33), (9000, 1), (70, 5)])
def test_strips_that_gave_nan_are_finite(bfloat16: Network, shape: tuple[int, int]) -> None:
    for level in (0, 0.3):
        probability, logit = infer(np.full(shape, level, np.float32), [bfloat16])
        assert np.isfinite(probability).all()
        assert math.isfinite(logit)


def test_without_openvino_there_is_no_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert not runtime.computes_in_bfloat16()
