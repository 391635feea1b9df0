"""From a network's file to something that runs: OpenVINO in bfloat16 where it is fast, ONNX Runtime elsewhere."""

import importlib.util
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from mipseg.errors import ModelError
from mipseg.model.inference import Answer, Run
from mipseg.types import Intensity

# Pixels of a tile. What OpenVINO holds for larger ones is given back after each call: 40 MiB of four networks, for at
# most a fifth of the call's time. Images of the championship have smaller ones.
KEPT = 2**18
_log = logging.getLogger(__name__)


def computes_in_bfloat16() -> bool:
    """Whether the CPU computes in bfloat16 (AMX, AVX512-BF16) and OpenVINO, which makes use of it, is installed."""
    if importlib.util.find_spec("openvino") is None:
        return False
    return "BF16" in _openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def load_bfloat16(onnx: bytes, threads: int) -> Run:
    """Load a network into OpenVINO, to be computed in bfloat16: several times faster, up to 0.01 off.

    Where an answer is not finite, the call is made again in float32, which has a larger margin; the log says so.

    Args:
        onnx: content of the file.
        threads: CPU threads of one call.

    Raises:
        ModelError: by the call, if float32 gives no finite answer either.
    """
    core = _openvino_core()
    options = {
        "INFERENCE_PRECISION_HINT": "bf16",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,  # else networks that run side by side are all pinned to the same core
        "CPU_RUNTIME_CACHE_CAPACITY": 0,  # else something stays for every shape ever seen; it saves no time here
    }
    model = core.compile_model(core.read_model(onnx), "CPU", options)

    def run(intensity: Intensity) -> Answer:
        # A request of its own for each call: two threads may not share one.
        tumour, patient = model.create_infer_request().infer([intensity[None, None]]).values()
        answer = tumour[0, 0], float(patient[0])
        if intensity.size > KEPT:
            with suppress(RuntimeError):  # another call is under way, and will do it
                model.release_memory()
        if _is_finite(answer):
            return answer
        _log.warning("bfloat16 gave no finite answer for %d x %d pixels; float32 is taken", *intensity.shape)
        return load_float32(onnx, threads)(intensity)

    return run


def load_float32(onnx: bytes, threads: int) -> Run:
    """Load a network into ONNX Runtime, to be computed in float32: alike on every CPU.

    Args:
        onnx: content of the file.
        threads: CPU threads of one call.

    Raises:
        ModelError: by the call, if the answer is not finite.
    """
    import onnxruntime  # noqa: PLC0415 # a quarter of a second, for nothing where OpenVINO computes

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Threads that spin while they wait would slow the next network.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False  # the arena never gives the largest image's memory back
    options.log_severity_level = 3
    # The provider is pinned so that results repeat.
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])

    (planned,) = session.get_inputs()

    def run(intensity: Intensity) -> Answer:
        tumour, patient = session.run(None, {planned.name: intensity[None, None]})
        answer = tumour[0, 0], float(patient[0])
        if not _is_finite(answer):
            raise ModelError("a network gave an answer that is not finite")
        return answer

    return run


def _is_finite(answer: Answer) -> bool:
    return bool(np.isfinite(answer[0]).all() and np.isfinite(answer[1]))


class Runtime(NamedTuple):
    """What computes networks.

    Attributes:
        name: of the library.
        precision: of its sums and products.
        load: maps the content of an ONNX file and a number of CPU threads to what runs the network.
    """

    name: str
    precision: str
    load: Callable[[bytes, int], Run]


BFLOAT16 = Runtime("openvino", "bfloat16", load_bfloat16)
FLOAT32 = Runtime("onnxruntime", "float32", load_float32)


@lru_cache(maxsize=1)
def _openvino_core() -> Any:
    # Without its telemetry package OpenVINO sends nothing; a None keeps it from being found where it is installed.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    openvino = importlib.import_module("openvino")
    # The first conversion to NumPy hangs in OpenVINO's bindings if two threads make it at once; so it is made here.
    _ = openvino.Tensor(np.zeros(1, np.float32)).data
    return openvino.Core()
