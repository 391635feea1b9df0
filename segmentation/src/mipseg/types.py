"""The arrays that travel through the package, named once."""

from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Image: TypeAlias = npt.NDArray[np.uint8]
"""A MIP-PET image, (H, W, 3) uint8, three equal channels; air = 255, hottest = 0."""

GreyImage: TypeAlias = npt.NDArray[np.uint8]
"""One channel of an `Image`, (H, W) uint8; air = 255, hottest = 0."""

Intensity: TypeAlias = npt.NDArray[np.float32]
"""What an image shows, in shares of its SUV window: (H, W) float32 in [0, 1]; air = 0, top of the window = 1."""

Mask: TypeAlias = npt.NDArray[np.uint8]
"""A segmentation image, (H, W, 3) uint8, three equal channels; tumour = 255, everything else 0."""

BinaryMask: TypeAlias = npt.NDArray[np.bool_]
"""A segmentation as truth values, (H, W) bool; tumour = True."""

Probability: TypeAlias = npt.NDArray[np.float32]
"""Tumour probability of each pixel, (H, W) float32 in [0, 1]."""

Spacing: TypeAlias = tuple[float, float]
"""Millimetres between rows and between columns."""

Voxels: TypeAlias = npt.NDArray[np.float32]
"""A volume, (Z, Y, X) float32: from feet to head, from front to back, from the patient's right to left."""

Origin: TypeAlias = Literal["automatic", "semiautomatic", "manual"]
"""Who found and outlined a lesion: the model; the model, but its mask was corrected; a person."""
