import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from mipseg.training.geometry import Geometry, draw_geometries, warp  # noqa: E402

STILL = Geometry(np.eye(2), False, np.zeros(2), 0.0, 0.0, None)


def test_a_map_that_changes_nothing_gives_the_image_back() -> None:
    channels, mask = torch.rand(2, 8, 6), torch.rand(8, 6) > 0.5
    image, moved = warp(STILL, (8, 6), 3.0, channels, mask)
    torch.testing.assert_close(image, channels)
    assert torch.equal(moved, mask)


@pytest.mark.parametrize(
    ("geometry", "row", "column"),
    [
        (Geometry(np.eye(2), True, np.zeros(2), 0, 0, None), 20, 27),  # mirrored about the middle, 16
        (Geometry(np.eye(2), False, np.array([3.0, -2.0]), 0, 0, None), 22, 1),  # the frame looks elsewhere
        (Geometry(np.array([[0.0, -1.0], [1.0, 0.0]]), False, np.zeros(2), 0, 0, None), 27, 20),  # a quarter turn
    ],
)
def test_a_pixel_goes_where_the_map_says(geometry: Geometry, row: int, column: int) -> None:
    mask = torch.zeros(32, 32, dtype=torch.bool)
    mask[20, 4] = True
    _, moved = warp(geometry, (32, 32), 16.0, torch.zeros(1, 32, 32), mask)
    assert moved.nonzero().tolist() == [[row, column]]


@pytest.mark.parametrize(("height", "part", "drop", "row"), [(60, 0.5, 0.0, 0), (20, 0.0, 0.0, 10), (20, 0.0, 1.0, 20)])
def test_bodies_taller_or_shorter_than_the_frame_are_shown_in_part_or_lower(
    height: int, part: float, drop: float, row: int
) -> None:
    # The marked row is 10; the frame shows 40 rows.
    mask = torch.zeros(height, 8, dtype=torch.bool)
    mask[10] = True
    _, moved = warp(Geometry(np.eye(2), False, np.zeros(2), part, drop, None), (40, 8), 4.0, mask[None].float(), mask)
    assert moved.any(1).nonzero().flatten().tolist() == [row]


def test_a_donor_is_near_the_body_and_maps_are_repeatable() -> None:
    pairs = [draw_geometries(np.random.default_rng(seed), 2) for seed in range(100)]
    again = draw_geometries(np.random.default_rng(7), 2)
    assert np.array_equal(again[1].matrix, pairs[7][1].matrix)
    for body, donor in pairs:
        assert body.part == donor.part
        assert (np.abs(body.offset) <= (4, 8)).all()
        assert (np.abs(donor.offset - body.offset) <= (7.5, 12.5)).all()
        ratio = donor.matrix / body.matrix
        assert ratio == pytest.approx(ratio[0, 0])
        assert math.exp(-0.2) <= ratio[0, 0] <= math.exp(0.2)
    assert 30 < sum(body.mirrored for body, _ in pairs) < 70
    assert 30 < sum(body.mirrored != donor.mirrored for body, donor in pairs) < 70
    assert 25 < sum(body.elastic is not None for body, _ in pairs) < 55
