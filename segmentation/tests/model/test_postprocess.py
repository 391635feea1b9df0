import numpy as np

from mipseg.model.postprocess import binarise, binarise_if_patient, find_components, max_expected_dice, to_mask


def test_decode_takes_the_mask_of_highest_expected_dice() -> None:
    # Softened by nothing: q = 0.9, 0.8, 0.3, 0.1 sum to 2.1. Expected Dice of the k best is 2 * 0.9 / 3.1 = 0.58,
    # 2 * 1.7 / 4.1 = 0.83, 2 * 2.0 / 5.1 = 0.78, 2 * 2.1 / 6.1 = 0.69: two pixels are best.
    probability = np.array([[0.9, 0.8, 0.3, 0.1, 0.0]], np.float32)
    assert binarise(probability, 1.0, 0.0).tolist() == [[True, True, False, False, False]]


def test_temperature_softens_and_so_takes_more() -> None:
    # With temperature 0.5 the odds become their roots: q = 0.75, 0.67, 0.40, 0.25; the best k is 3.
    probability = np.array([[0.9, 0.8, 0.3, 0.1, 0.0]], np.float32)
    q = 1 / (1 + np.sqrt((1 - probability[0, :4]) / probability[0, :4]))
    expected = [2 * q[:k].sum() / (k + q.sum()) for k in range(1, 5)]
    assert binarise(probability, 0.5, 0.0).sum() == 1 + int(np.argmax(expected)) == 3


def test_components_that_are_nowhere_certain_are_dropped() -> None:
    probability = np.zeros((6, 6), np.float32)
    probability[0, 0], probability[1, 1] = 0.9, 0.6  # touch at a corner: one component with a peak of 0.9
    probability[5, 5] = 0.7
    assert binarise(probability, 0.3, 0.0).sum() == 3
    assert np.argwhere(binarise(probability, 0.3, 0.8)).tolist() == [[0, 0], [1, 1]]
    assert not binarise(probability, 0.3, 0.95).any()


def test_nothing_is_found_where_nothing_is_probable() -> None:
    for value in (0.0, 0.009):
        assert not binarise(np.full((20, 20), value, np.float32), 0.3, 0.0).any()
    assert binarise(np.ones((20, 20), np.float32), 0.3, 0.5).all()


def test_to_mask_is_white_on_black_in_three_channels() -> None:
    mask = to_mask(np.array([[True, False]]))
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[[255, 255, 255], [0, 0, 0]]]


def test_components_and_their_peaks() -> None:
    tumour = np.zeros((4, 6), bool)
    tumour[0, 0] = tumour[1, 1] = tumour[3, 3:] = True
    probability = np.linspace(0, 1, 24).reshape(4, 6).astype(np.float32)
    labels, peaks = find_components(tumour, probability)
    assert labels[1].tolist() == [0, 1, 0, 0, 0, 0]
    assert labels[3].tolist() == [0, 0, 0, 2, 2, 2]
    assert peaks.tolist() == [-np.inf, probability[1, 1], 1]


def test_surely_healthy_people_get_an_empty_mask() -> None:
    probability = np.array([[0.9, 0.8, 0.3, 0.1, 0.0]], np.float32)
    assert binarise_if_patient(probability, 0.05, 1.0, 0.0, 0.05).tolist() == binarise(probability, 1.0, 0.0).tolist()
    empty = binarise_if_patient(probability, 0.049, 1.0, 0.0, 0.05)
    assert empty.tolist() == [[False] * 5]
    assert binarise_if_patient(probability, 0.0, 1.0, 0.0, 0.0).any()


def test_cut_is_below_the_drop_of_components() -> None:
    probability = np.array([[0.9, 0.0, 0.6]], np.float32)
    assert max_expected_dice(probability, 0.3).tolist() == [[True, False, True]]
    assert binarise(probability, 0.3, 0.7).tolist() == [[True, False, False]]
