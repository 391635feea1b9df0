import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from torch import Tensor  # noqa: E402

from mipseg.training.geometry import (  # noqa: E402
    ELASTIC_GRID,
    Geometry,
    Random,
    choose,
    draw_anywhere,
    draw_beside,
    draw_body,
    rotation,
    warp,
)
from tests.training.draws import within_3_sigma  # noqa: E402

CPU = torch.device("cpu")
MIRRORED = [[-1.0, 0.0], [0.0, 1.0]]
QUARTER_TURN = [[0.0, -1.0], [1.0, 0.0]]


def geometry(matrix: list[list[float]], x: float, y: float) -> Geometry:
    """One map without any bend: image pixel = matrix @ (frame pixel - middle) + (x, y)."""
    return Geometry(torch.tensor([matrix]), torch.tensor([[x, y]]), torch.zeros(1, 2, *ELASTIC_GRID))


def unbent(drawn: Geometry) -> Geometry:
    return Geometry(drawn.matrix, drawn.origin, torch.zeros_like(drawn.elastic))


def came_up(found: Tensor, probability: float) -> bool:
    """Whether about this share of some draws is True."""
    return within_3_sigma(int(found.sum()), len(found), probability)


def test_a_map_that_changes_nothing_gives_the_image_back() -> None:
    layers = torch.rand(2, 3, 8, 6)
    still = geometry([[1.0, 0.0], [0.0, 1.0]], 3, 4)
    both = Geometry(*(torch.cat([part, part]) for part in (still.matrix, still.origin, still.elastic)))
    assert torch.allclose(warp(both, (8, 6), layers), layers, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("moved", "row", "column"),
    [
        (geometry(MIRRORED, 16, 16), 20, 27),
        (geometry([[1.0, 0.0], [0.0, 1.0]], 19, 14), 22, 1),  # the frame looks 3 to the right and 2 up
        (geometry(QUARTER_TURN, 16, 16), 27, 20),
        (geometry([[1.0, 0.0], [0.0, 1.0]], 16.5, 16), 20, 3),  # half a pixel: shared with the right neighbour
    ],
)
def test_a_pixel_goes_where_the_map_says(moved: Geometry, row: int, column: int) -> None:
    image = torch.zeros(1, 1, 32, 32)
    image[0, 0, 20, 4] = 1
    result = warp(moved, (32, 32), image)[0, 0]
    peaks = (result > 0.4).nonzero().tolist()
    assert peaks[0] == [row, column]
    assert result.sum().item() == pytest.approx(1, abs=1e-4)


def test_a_frame_larger_than_the_image_has_air_around_it() -> None:
    result = warp(geometry([[1.0, 0.0], [0.0, 1.0]], 2, 2), (8, 10), torch.ones(1, 1, 4, 4))[0, 0]
    assert torch.equal(result[2:6, 3:7], torch.ones(4, 4))
    assert result.sum() == 16


def test_a_bend_moves_what_the_frame_sees_in_its_own_pixels() -> None:
    image = torch.zeros(1, 1, 32, 32)
    image[0, 0, 20, 10] = 1
    elastic = torch.zeros(1, 2, *ELASTIC_GRID)
    elastic[:, 0], elastic[:, 1] = 3, -2
    bent = Geometry(torch.eye(2)[None], torch.tensor([[16.0, 16.0]]), elastic)
    assert warp(bent, (32, 32), image)[0, 0].argmax().item() == 22 * 32 + 7


def test_a_rotation_turns_x_towards_y() -> None:
    expected = torch.tensor([QUARTER_TURN, [[1, 0], [0, 1]]])
    assert torch.allclose(rotation(torch.tensor([90.0, 0.0])), expected, atol=1e-6)


@pytest.mark.parametrize(("height", "low", "high"), [(900, 224, 676), (448, 224, 224), (200, 100, 224)])
def test_a_body_lies_within_the_frame_or_fills_it(height: int, low: int, high: int) -> None:
    size, random = 1000, Random(0, CPU)
    drawn = draw_body(random, torch.full((size,), 150.0), torch.full((size,), float(height)), 448)
    x, y = drawn.origin.unbind(1)
    # Of a taller body every part comes up, a shorter one lies from the frame's top to its middle; each gives or takes.
    assert low - 16 <= y.min() < low + 2
    assert high - 2 < y.max() <= high + 16
    assert 142 <= x.min() < 143
    assert 157 < x.max() <= 158


def test_bodies_are_scaled_turned_mirrored_and_bent_in_their_shares() -> None:
    size = 2000
    drawn = draw_body(Random(1, CPU), torch.full((size,), 160.0), torch.full((size,), 448.0), 448)
    determinant = torch.linalg.det(drawn.matrix)
    assert came_up(determinant < 0, 0.5)
    assert came_up(drawn.elastic.flatten(1).any(1), 0.4)
    area = determinant.abs().sqrt()  # the geometric mean of both stretches: the aspect cancels
    assert math.exp(-0.3) <= area.min() < math.exp(-0.29) < math.exp(0.29) < area.max() <= math.exp(0.3)
    down = drawn.matrix[:, :, 1]
    angle = torch.rad2deg(torch.atan2(down[:, 0], down[:, 1]))
    assert 11 < angle.abs().max() < 15  # 12 degrees, and what the aspect adds


def test_donors_lie_about_where_they_were_in_their_own_body() -> None:
    size, random = 2000, Random(2, CPU)
    body = draw_body(random, torch.full((size,), 160.0), torch.full((size,), 448.0), 448)
    donor = draw_beside(random, body, torch.full((size,), 40.0))
    x, y = (donor.origin - body.origin).unbind(1)
    assert 25 <= x.min() < 26
    assert 54 < x.max() <= 55
    assert -25 <= y.min() < -24
    assert 24 < y.max() <= 25
    ratio = (donor.matrix[:, :, 1] / body.matrix[:, :, 1]).abs()
    assert torch.allclose(ratio[:, 0], ratio[:, 1])
    assert math.exp(-0.2) <= ratio.min() < math.exp(-0.19) < math.exp(0.19) < ratio.max() <= math.exp(0.2) + 1e-6
    assert came_up(torch.linalg.det(donor.matrix) * torch.linalg.det(body.matrix) < 0, 0.5)


def disc(x: float, y: float, radius: float) -> Tensor:
    middles = torch.arange(128) + 0.5
    distance: Tensor = (middles - x) ** 2 + (middles[:, None] - y) ** 2
    return (distance < radius**2).float()


def test_a_lesion_lands_at_the_drawn_place() -> None:
    size, radius = 40, 8.0
    random = Random(3, CPU)
    place = torch.stack([random.uniform(-50, 50, size), random.uniform(-70, 70, size)], 1)
    lesion, scale = torch.tensor([[40.0, 75.0]]).expand(size, 2), random.uniform(0.5, 3, size)
    drawn = unbent(draw_anywhere(random, lesion, scale, place))
    layers = disc(40, 75, radius).expand(size, 1, 128, 128)
    frame = warp(drawn, (224, 192), layers)[:, 0]
    x, y = torch.arange(192) + 0.5 - 96, torch.arange(224) + 0.5 - 112
    area = frame.sum((1, 2))
    found = torch.stack([(frame.sum(1) * x).sum(1), (frame.sum(2) * y).sum(1)], 1) / area[:, None]
    assert (found - place).norm(dim=1).max() < 1
    assert torch.allclose(area.sqrt(), radius * math.sqrt(math.pi) * scale, rtol=0.03)


def test_lesions_are_turned_to_every_side() -> None:
    size = 400
    middle = torch.zeros(size, 2)
    drawn = draw_anywhere(Random(4, CPU), middle, torch.ones(size), middle)
    angle = torch.atan2(drawn.matrix[:, 1, 0], drawn.matrix[:, 0, 0])
    assert torch.histc(angle, 4, -math.pi, math.pi).min() > 70
    assert (torch.linalg.det(drawn.matrix) > 0).all()
    assert drawn.elastic.std().item() == pytest.approx(3, rel=0.05)


def test_each_row_is_chosen_from_one_of_two() -> None:
    a, b = geometry(MIRRORED, 1, 2), geometry(QUARTER_TURN, 3, 4)
    pairs = [Geometry(*(torch.cat([part] * 2) for part in (one.matrix, one.origin, one.elastic + 1))) for one in (a, b)]
    mixed = choose(torch.tensor([True, False]), pairs[0], Geometry(pairs[1].matrix, pairs[1].origin, -pairs[1].elastic))
    assert mixed.matrix.tolist() == [MIRRORED, QUARTER_TURN]
    assert mixed.origin.tolist() == [[1, 2], [3, 4]]
    assert mixed.elastic.amax((1, 2, 3)).tolist() == [1, -1]


def test_draws_keep_to_their_bounds_and_repeat() -> None:
    random = Random(5, CPU)
    draws = random.below(torch.tensor([1, 2, 5]).repeat(300, 1))
    assert np.unique(draws.numpy()).tolist() == [0, 1, 2, 3, 4]
    assert draws.amax(0).tolist() == [0, 1, 4]
    assert np.unique(random.pick(torch.tensor([[0.0, 2.0, 0.0]]).expand(50, 3)).numpy()).tolist() == [1]
    assert came_up(random.pick(torch.tensor([[1.0, 3.0]]).expand(2000, 2)) == 1, 0.75)
    assert came_up(random.chance(0.3, 2000), 0.3)
    assert not random.chance(0.0, 1000).any()
    factors = random.factor(0.5, 2000)
    assert math.exp(-0.5) <= factors.min() < 0.62
    assert 1.63 < factors.max() <= math.exp(0.5)
    uniform = random.uniform(-2, 3, 4, 500)
    assert (uniform.shape, uniform.dtype) == ((4, 500), torch.float32)
    assert -2 <= uniform.min() < -1.98
    assert 2.98 < uniform.max() < 3
    assert torch.equal(Random(5, CPU).normal(3, 4), Random(5, CPU).normal(3, 4))
    assert not torch.equal(Random(5, CPU).normal(3, 4), Random(6, CPU).normal(3, 4))
