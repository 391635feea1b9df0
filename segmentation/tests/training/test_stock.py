import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from mipseg.io.dataset import Case  # noqa: E402
from mipseg.training.stock import CERTAIN, make_stock  # noqa: E402

CPU = torch.device("cpu")


def patient() -> Case:
    """40 x 30, a body of grey 155 in columns 8 to 21; two square lesions, and one whose pixels touch by a corner."""
    image, mask = np.full((40, 30), 255, np.uint8), np.zeros((40, 30), bool)
    image[:, 8:22] = 155
    mask[2:6, 9:13] = mask[10:12, 10:12] = mask[20, 12] = mask[21, 13] = True
    return Case("patient_000", image, mask)


def control() -> Case:
    """50 x 20, all of grey 200."""
    return Case("control_000", np.full((50, 20), 200, np.uint8), np.zeros((50, 20), bool))


def unlabelled() -> Case:
    return Case("unlabelled_a", np.full((30, 30), 250, np.uint8), np.zeros((30, 30), bool))


def test_images_are_padded_with_air_and_hot_is_high() -> None:
    stock = make_stock([patient(), control()], [unlabelled()], CPU)
    assert stock.images.shape == (3, 50, 30)
    assert stock.images.dtype == stock.targets.dtype == torch.uint8
    assert stock.device == CPU
    assert np.unique(stock.images[0].numpy()).tolist() == [0, 100]
    assert (stock.images[1, :, :20] == 55).all()
    assert (stock.images[2, :30] == 5).all()
    assert not stock.images[1, :, 20:].any()
    assert not stock.images[2, 30:].any()
    assert stock.heights.tolist() == [40, 50, 30]
    # Narrower than the least width that the model looks at: the middle is the image's.
    assert stock.centres.tolist() == [15, 10, 15]


def test_the_middle_is_that_of_the_body() -> None:
    image = np.full((40, 300), 255, np.uint8)
    image[:, 180:240] = 100
    stock = make_stock([patient(), Case("control_001", image, image < 0)], (), CPU)
    assert stock.centres[1].item() == pytest.approx(210, abs=1)


def test_each_kind_has_its_group() -> None:
    stock = make_stock([control(), patient(), control()], [unlabelled(), unlabelled()], CPU)
    assert [group.tolist() for group in stock.groups] == [[1], [0, 2], [3, 4]]
    assert [len(group) for group in make_stock([patient()], (), CPU).groups] == [1, 0, 0]


def test_components_have_their_middles_and_extents() -> None:
    stock = make_stock([patient(), control()], [unlabelled()], CPU)
    assert stock.counts.tolist() == [3, 0, 0]
    assert stock.places[0].tolist() == [[11, 4], [11, 11], [13, 21]]  # x, y: a pixel's middle is at its half
    assert stock.extents[0].tolist() == pytest.approx([4, 2, 2**0.5])
    assert [int((stock.components[0] == label).sum()) for label in (1, 2, 3)] == [16, 4, 2]
    assert torch.equal(stock.components[0] > 0, stock.targets[0] == 255)
    assert np.unique(stock.targets[0].numpy()).tolist() == [0, 255]
    # Nobody else has tumour.
    assert not stock.components[1:].any()
    assert not stock.targets[1:].any()


def test_new_targets_replace_earlier_ones() -> None:
    stock = make_stock([patient(), control()], [unlabelled()], CPU)
    first, second = np.zeros((30, 30), np.uint8), np.zeros((30, 30), np.uint8)
    first[3:5, 3:5], first[10, 10] = 200, CERTAIN
    second[20:24, 4:8], second[0, 0] = 255, CERTAIN - 1
    stock.set_targets([2], [first])
    assert stock.counts.tolist() == [3, 0, 2]
    assert stock.places[2, :2].tolist() == [[4, 4], [10.5, 10.5]]
    before = [stock.targets[:2].clone(), stock.components[:2].clone(), stock.places[:2].clone()]
    stock.set_targets([2], [second])
    assert stock.counts.tolist() == [3, 0, 1]
    assert (stock.places[2, 0].tolist(), stock.extents[2, 0].item()) == ([6, 22], 4)
    assert np.array_equal(stock.targets[2, :30].numpy(), second)  # what is doubtful stays a target,
    assert np.array_equal(stock.components[2, :30].numpy() > 0, second == 255)  # but is no component
    assert all(
        torch.equal(a, b)
        for a, b in zip(before, (stock.targets[:2], stock.components[:2], stock.places[:2]), strict=True)
    )
    stock.set_targets([2], [np.zeros((30, 30), np.uint8)])
    assert stock.counts.tolist() == [3, 0, 0]
    assert not stock.components[2].any()


def test_components_for_which_there_is_no_room_are_left_out() -> None:
    stock = make_stock([patient()], [unlabelled()], CPU)  # room for three
    target = np.zeros((30, 30), np.uint8)
    target[::5, ::5] = 255
    stock.set_targets([1], [target])
    assert stock.counts[1] == 3
    assert np.unique(stock.components[1].numpy()).tolist() == [0, 1, 2, 3]
    assert int((stock.components[1] > 0).sum()) == 3
    assert int((stock.targets[1] == 255).sum()) == 36


def test_there_is_a_target_for_each_image() -> None:
    stock = make_stock([patient()], [unlabelled()], CPU)
    with pytest.raises(ValueError, match="shorter"):
        stock.set_targets([0, 1], [np.zeros((30, 30), np.uint8)])
