import numpy as np
import pytest

from mipseg.preprocess import MARGIN, MULTIPLE, body_columns, normalise, pad


def test_normalise_turns_air_into_zero_and_hot_into_one():
    assert normalise(np.array([[255, 0, 204]], np.uint8)).tolist() == [[0.0, 1.0, pytest.approx(0.2)]]


@pytest.mark.parametrize("left", [0, 3, 90, 180, 270])
def test_body_columns_hold_the_body_and_its_margin(left):
    uptake = np.zeros((100, 400), np.float32)
    uptake[:, left : left + 130] = 0.3
    columns = body_columns(uptake)
    assert columns.start <= max(0, left - MARGIN)
    assert columns.stop >= min(400, left + 130 + MARGIN)
    assert (columns.stop - columns.start) % MULTIPLE == 0
    assert columns.stop - columns.start < 400


def test_picture_without_a_body_is_kept_whole():
    assert body_columns(np.zeros((50, 70), np.float32)) == slice(0, 70)


def test_wide_body_is_kept_whole():
    assert body_columns(np.full((50, 400), 0.5, np.float32)) == slice(0, 400)


@pytest.mark.parametrize("shape", [(1, 1), (64, 64), (65, 400), (991, 256)])
def test_pad_adds_air_below_and_to_the_right(shape):
    padded = pad(np.ones(shape, np.float32))
    assert padded.shape == tuple(-(-side // MULTIPLE) * MULTIPLE for side in shape)
    assert padded[: shape[0], : shape[1]].all()
    assert padded.sum() == shape[0] * shape[1]
