"""Measures of agreement between a prediction and its reference."""

import numpy as np
import numpy.typing as npt


def dice_score(y_true: npt.NDArray[np.generic], y_pred: npt.NDArray[np.generic]) -> float:
    """Dice coefficient, 2 |A ∩ B| / (|A| + |B|) (Dice 1945, Ecology 26(3):297-302).

    Both empty gives 1.0: to find nothing in a healthy body is a perfect answer.

    Args:
        y_true: reference, any shape; non-zero is tumour (so 0/255 and bool both work).
        y_pred: prediction, the same shape.

    Returns:
        A number from 0 (no overlap) to 1 (identical).

    Raises:
        ValueError: the shapes differ.
    """
    reference, prediction = np.asarray(y_true) != 0, np.asarray(y_pred) != 0
    if reference.shape != prediction.shape:
        raise ValueError(f"shapes differ: reference {reference.shape}, prediction {prediction.shape}")
    total = int(reference.sum()) + int(prediction.sum())
    return 1.0 if total == 0 else 2 * int((reference & prediction).sum()) / total
