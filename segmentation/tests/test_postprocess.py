import numpy as np

from mipseg.postprocess import binarise, to_mask


def test_binarise_cuts_and_drops_small_components():
    probability = np.zeros((6, 6), np.float32)
    probability[0, 0] = probability[1, 1] = 0.9  # touch at a corner: one component of two pixels
    probability[5, 5] = 0.9
    probability[3, 0] = 0.5  # not above the threshold
    assert np.argwhere(binarise(probability, 0.5, 2)).tolist() == [[0, 0], [1, 1]]
    assert binarise(probability, 0.5, 1).sum() == 3
    assert not binarise(probability, 0.95, 1).any()


def test_background_is_never_a_component():
    assert not binarise(np.zeros((20, 20), np.float32), 0.5, 1).any()


def test_to_mask_is_white_on_black_in_three_channels():
    mask = to_mask(np.array([[True, False]]))
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[[255, 255, 255], [0, 0, 0]]]
