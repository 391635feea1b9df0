import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mipseg.inference import infer
from mipseg.phantom import make_phantom


def network(delay: float, gain: float):
    """One that answers with what it sees, times a gain."""

    def run(planes: np.ndarray) -> tuple[np.ndarray, float]:
        time.sleep(delay)
        return planes[0] * np.float32(gain), gain

    return run


def test_networks_side_by_side_give_what_they_give_in_turn():
    grey = make_phantom(1).mip
    networks = [network(0.02, 0.1), network(0, 0.2), network(0.01, 0.3)]
    probability, logit = infer(grey, networks)
    with ThreadPoolExecutor(2) as pool:
        beside, beside_logit = infer(grey, networks, pool=pool)
    np.testing.assert_array_equal(probability, beside)
    assert logit == beside_logit == pytest.approx(0.2)


def test_networks_with_a_pool_run_at_the_same_time():
    networks = [network(0.3, 1.0)] * 4
    with ThreadPoolExecutor(4) as pool:
        start = time.perf_counter()
        infer(make_phantom(1).mip, networks, pool=pool)
    assert time.perf_counter() - start < 0.9


def test_an_answer_to_the_mirror_image_is_turned_back():
    seen = []

    def remembers(planes: np.ndarray) -> tuple[np.ndarray, float]:
        seen.append(planes)
        return planes[0], 0.0

    one, _ = infer(make_phantom(2).mip, [remembers])
    two, _ = infer(make_phantom(2).mip, [remembers, remembers])
    np.testing.assert_array_equal(seen[2], seen[1][:, :, ::-1])
    np.testing.assert_allclose(one, two)


def test_an_error_of_a_network_is_not_lost():
    def broken(_: np.ndarray) -> tuple[np.ndarray, float]:
        raise MemoryError("no room")

    with ThreadPoolExecutor(2) as pool, pytest.raises(MemoryError, match="no room"):
        infer(make_phantom(1).mip, [network(0, 1.0), broken], pool=pool)
