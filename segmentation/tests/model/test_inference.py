import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from mipseg.io.arrays import intensity_of_image
from mipseg.model.inference import Network, infer
from mipseg.model.preprocess import match_window
from mipseg.phantom import make_phantom

BODY = intensity_of_image(make_phantom(1, height=200).mip)


def network(delay: float, gain: float) -> Network:
    """One that answers with what it sees, times a gain."""

    def run(image: np.ndarray) -> tuple[np.ndarray, float]:
        time.sleep(delay)
        return image * np.float32(gain), gain

    return Network(False, run)


def test_networks_side_by_side_give_what_they_give_in_turn() -> None:
    networks = [network(0.02, 0.1), network(0, 0.2), network(0.01, 0.3)]
    probability, logit = infer(BODY, networks)
    with ThreadPoolExecutor(2) as pool:
        beside, beside_logit = infer(BODY, networks, pool=pool)
    np.testing.assert_array_equal(probability, beside)
    assert logit == beside_logit == pytest.approx(0.2)


def test_networks_with_a_pool_run_at_the_same_time() -> None:
    together = Barrier(4, timeout=10)

    def meets_the_others(image: np.ndarray) -> tuple[np.ndarray, float]:
        together.wait()
        return image, 0.0

    with ThreadPoolExecutor(4) as pool:
        infer(BODY, [Network(False, meets_the_others)] * 4, pool=pool)


def test_an_answer_to_the_mirror_image_is_turned_back() -> None:
    seen = []

    def remembers(image: np.ndarray) -> tuple[np.ndarray, float]:
        seen.append(image)
        return image, 0.0

    one, _ = infer(BODY, [Network(False, remembers)])
    two, _ = infer(BODY, [Network(mirrored, remembers) for mirrored in (False, True)])
    np.testing.assert_array_equal(seen[2], seen[1][:, ::-1])
    np.testing.assert_allclose(one, two)


def test_an_error_of_a_network_is_not_lost() -> None:
    def broken(_: np.ndarray) -> tuple[np.ndarray, float]:
        raise MemoryError("no room")

    with ThreadPoolExecutor(2) as pool, pytest.raises(MemoryError, match="no room"):
        infer(BODY, [network(0, 1.0), Network(False, broken)], pool=pool)


@pytest.mark.parametrize("shape", [(1500, 300), (300, 1500), (1414, 1414)])
def test_a_large_image_is_seen_in_tiles_and_put_together_again(shape: tuple[int, int]) -> None:
    seen = []

    def looks(image: np.ndarray) -> tuple[np.ndarray, float]:
        seen.append(image.shape)
        return image, float(image[0, 0])

    image = np.random.default_rng(0).random(shape, np.float32) * np.float32(0.3)
    image[0, 0] = 0.9
    probability, logit = infer(image, [Network(False, looks), Network(True, looks)])
    np.testing.assert_allclose(probability, match_window(image), atol=1e-7)
    assert all(height <= 1024 and width <= 512 for height, width in seen)
    assert len(seen) > 2
    assert logit > 0.4  # of the tile that looks most like a patient, not the mean over tiles
