"""What large images of many shapes leave behind in the service."""

import sys
from collections.abc import Callable

import numpy as np
import pytest

from mipseg.serving import memory
from tests.serving.answers import assert_mask
from tests.serving.images import b64, good_png
from tests.serving.server import Server

SHAPES = [(1000, 2000), (7000, 285), (200, 10_000), (1414, 1414), (3, 10_000), (2336, 3), (900, 700), (64, 64)]


@pytest.mark.long
@pytest.mark.hazard("H6")
@pytest.mark.skipif(sys.platform != "linux", reason="MEMORY IS NOT MEASURED: /proc is Linux's")
def test_large_images_are_answered_in_time_and_leave_no_memory_behind(service: Server) -> None:
    assert_mask(service.client.post("/predict", json={"img": b64(good_png(991, 400))}), (991, 400))
    with service.memory_growth_below(450):  # at the peak
        for shape in SHAPES:
            answer = service.client.post("/predict", json={"img": b64(good_png(*shape))})
            assert_mask(answer, shape)  # 503 if the deadline had passed
    assert service.memory_mb() < 800


@pytest.mark.parametrize(("pixels", "calls"), [(400 * 991, 0), (memory.LARGE, 0), (memory.LARGE + 1, 1)])
def test_memory_is_given_back_after_large_images_only(monkeypatch: pytest.MonkeyPatch, pixels: int, calls: int) -> None:
    asked: list[int] = []

    def trim() -> Callable[[int], None]:
        return asked.append

    monkeypatch.setattr(memory, "_malloc_trim", trim)
    memory.give_back(pixels)
    assert asked == [0] * calls


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    memory._c_function.cache_clear()
    monkeypatch.setattr(sys, "platform", platform)
    memory.give_back(10**7)
    assert not memory.map_large_blocks()
    memory._c_function.cache_clear()


@pytest.mark.skipif(sys.platform != "linux", reason="MALLOC_TRIM IS GLIBC'S")
def test_trimming_is_possible_here() -> None:
    assert memory._malloc_trim() is not None
    assert memory.map_large_blocks()
    np.ones(10**6)
    memory.give_back(10**7)
