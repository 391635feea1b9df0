import numpy as np

from mipseg.io.mask_png import tumour_of


def test_of_greys_the_nearer_to_white_are_tumour() -> None:
    greys = np.array([[0, 127, 128, 255]], np.uint8)
    assert tumour_of(greys).tolist() == [[False, False, True, True]]
