import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import numpy as np
import pytest

from mipseg.io.arrays import intensity_of_image
from mipseg.model.atlas import SHAPE
from mipseg.model.inference import Network, infer
from mipseg.model.preprocess import match_window
from mipseg.phantom import make_phantom

BODY = intensity_of_image(make_phantom(1, height=200).mip)


def network(delay: float, gain: float) -> Network:
    """One that answers with what it sees, times a gain."""

    def run(channels: np.ndarray) -> tuple[np.ndarray, float]:
        time.sleep(delay)
        return channels[0] * np.float32(gain), gain

    return Network(1, False, run)


def test_networks_side_by_side_give_what_they_give_in_turn() -> None:
    networks = [network(0.02, 0.1), network(0, 0.2), network(0.01, 0.3)]
    probability, logit = infer(BODY, networks)
    with ThreadPoolExecutor(2) as pool:
        beside, beside_logit = infer(BODY, networks, pool=pool)
    np.testing.assert_array_equal(probability, beside)
    assert logit == beside_logit == pytest.approx(0.2)


def test_networks_with_a_pool_run_at_the_same_time() -> None:
    together = Barrier(4, timeout=10)

    def meets_the_others(channels: np.ndarray) -> tuple[np.ndarray, float]:
        together.wait()
        return channels[0], 0.0

    with ThreadPoolExecutor(4) as pool:
        infer(BODY, [Network(1, False, meets_the_others)] * 4, pool=pool)


def test_an_answer_to_the_mirror_image_is_turned_back() -> None:
    seen = []

    def remembers(channels: np.ndarray) -> tuple[np.ndarray, float]:
        seen.append(channels)
        return channels[0], 0.0

    one, _ = infer(BODY, [Network(1, False, remembers)])
    two, _ = infer(
        BODY,
        [Network(1, mirrored, remembers) for mirrored in (False, True)],
    )
    np.testing.assert_array_equal(seen[2], seen[1][:, :, ::-1])
    np.testing.assert_allclose(one, two)


def test_an_error_of_a_network_is_not_lost() -> None:
    def broken(_: np.ndarray) -> tuple[np.ndarray, float]:
        raise MemoryError("no room")

    with ThreadPoolExecutor(2) as pool, pytest.raises(MemoryError, match="no room"):
        infer(BODY, [network(0, 1.0), Network(1, False, broken)], pool=pool)


def test_each_network_gets_the_channels_that_it_takes() -> None:
    seen = {}

    def asked(name: str, channels: int, mirrored: bool = False) -> Network:
        def run(image: np.ndarray) -> tuple[np.ndarray, float]:
            seen[name] = image
            return image[0], 0.0

        return Network(channels, mirrored, run)

    atlas = np.random.default_rng(0).random((2, *SHAPE), np.float32)
    networks = [asked("three", 3), asked("one, mirrored", 1, True), asked("one", 1), asked("three, mirrored", 3, True)]
    infer(BODY, networks, atlas)
    assert seen["one"].shape == (1, *seen["three"].shape[1:])
    assert seen["three"].shape[0] == 3
    np.testing.assert_array_equal(seen["one"][0], seen["three"][0])
    assert seen["three"][1:].any((1, 2)).all()
    for name in ("one", "three"):
        np.testing.assert_array_equal(seen[f"{name}, mirrored"], seen[name][:, :, ::-1])


def test_networks_without_an_atlas_run_while_the_image_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = Event()

    def run(channels: np.ndarray) -> tuple[np.ndarray, float]:
        ran.set()
        return channels[0], 0.0

    def registered(intensity: np.ndarray, _: np.ndarray, columns: slice) -> np.ndarray:
        assert ran.wait(10)
        return np.zeros((2, *intensity.shape), np.float32)[:, :, columns]

    monkeypatch.setattr("mipseg.model.inference.atlas_maps", registered)
    with ThreadPoolExecutor(1) as pool:
        infer(
            BODY,
            [network(0, 1.0)._replace(in_channels=3), Network(1, False, run)],
            np.zeros((2, *SHAPE), np.float32),
            pool,
        )


@pytest.mark.parametrize("shape", [(1500, 300), (300, 1500), (1414, 1414)])
def test_a_large_image_is_seen_in_tiles_and_put_together_again(shape: tuple[int, int]) -> None:
    seen = []

    def looks(channels: np.ndarray) -> tuple[np.ndarray, float]:
        seen.append(channels.shape)
        return channels[0], float(channels[0, 0, 0])

    image = np.random.default_rng(0).random(shape, np.float32) * np.float32(0.3)
    image[0, 0] = 0.9
    probability, logit = infer(image, [Network(1, False, looks), Network(1, True, looks)])
    np.testing.assert_allclose(probability, match_window(image), atol=1e-7)
    assert all(height <= 1024 and width <= 512 for _, height, width in seen)
    assert len(seen) > 2
    assert logit > 0.4  # of the tile that looks most like a patient, not the mean over tiles
