"""A model that answers at once, for the tests of what is around it."""

from types import SimpleNamespace

import numpy as np
import numpy.typing as npt

from mipseg.model.runtime import FLOAT32
from mipseg.model.segmenter import Segmentation


class HotSpots:
    """Marks everything at the top of the window."""

    runtime = FLOAT32
    config = SimpleNamespace(min_patient=0.5)

    def load(self) -> None:
        """There is nothing to load."""

    def segment(self, intensity: npt.NDArray[np.float32]) -> Segmentation:
        tumour = intensity >= 0.999
        return Segmentation(tumour, tumour.astype(np.float32), 1.0 if tumour.any() else 0.0)
