"""Cases, scored one by one against their references; the worst are kept to look at."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mipseg.metrics import LesionMatch, dice_score, is_clean, match_lesions
from mipseg.types import BinaryMask, GreyImage

SHOWN_PATIENTS, SHOWN_CONTROLS = 8, 4  # of which pictures are kept


@dataclass(frozen=True, eq=False)
class ScoredCase:
    """One case, scored.

    Attributes:
        name: of the case.
        dice: of a patient; of a control 1 where the prediction is empty as well, else 0.
        match: which lesions were found, and which are true.
        side: size of a pixel (1 px) or voxel (ml).
        answered: whether there was a prediction; where not, the Dice is 0.
        seconds: until the answer; None where nobody was asked.
        has_tumour: predicted probability that there is a tumour anywhere; None where it is not known.
    """

    name: str
    dice: float
    match: LesionMatch
    side: float = 1.0
    answered: bool = True
    seconds: float | None = None
    has_tumour: float | None = None

    @property
    def is_patient(self) -> bool:
        """Whether the reference has tumour."""
        return self.match.reference_area.size > 0

    @property
    def is_clean(self) -> bool:
        """Whether there is a prediction, and as a control's it is clean; see `mipseg.metrics.is_clean`."""
        return self.answered and bool(is_clean(self.match.prediction_area))

    @property
    def is_empty(self) -> bool:
        """Whether there is a prediction, and an empty one."""
        return self.answered and self.match.prediction_area.size == 0


def score_case(
    name: str,
    reference: npt.NDArray[np.bool_],
    prediction: npt.NDArray[np.bool_] | None,
    side: float = 1.0,
    *,
    seconds: float | None = None,
    has_tumour: float | None = None,
) -> ScoredCase:
    """Compare a mask with its reference.

    Args:
        name: of the case.
        reference: (H, W) or (Z, Y, X) bool.
        prediction: the same shape; None: there is none that could be used, which finds nothing and scores 0.
        side: see `ScoredCase`, as for the next two.
        seconds: until the answer.
        has_tumour: predicted probability.
    """
    if prediction is None:
        match = match_lesions(reference, np.zeros_like(reference))
        return ScoredCase(name, 0.0, match, side, answered=False, seconds=seconds)
    match = match_lesions(reference, prediction)
    return ScoredCase(name, dice_score(reference, prediction), match, side, seconds=seconds, has_tumour=has_tumour)


@dataclass(frozen=True, eq=False)
class Picture:
    """A case to look at.

    Attributes:
        case: its scores.
        image: (H, W) uint8, air 255; white where the image is not at hand.
        reference: (H, W) bool.
        prediction: (H, W) bool; empty where there is none.
    """

    case: ScoredCase
    image: GreyImage
    reference: BinaryMask
    prediction: BinaryMask


@dataclass
class Scores:
    """Cases as they are scored, and the worst of them to look at.

    Attributes:
        unit: of the sizes of lesions, `px` or `ml`.
        cases: all that were scored.
        failed: why there is no usable prediction, by name.
        patients: pictures of those of lowest Dice, the worst first.
        controls: pictures of those with most false tumour, the worst first.
    """

    unit: str
    cases: list[ScoredCase] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    patients: list[Picture] = field(default_factory=list)
    controls: list[Picture] = field(default_factory=list)

    def add(
        self,
        case: ScoredCase,
        reference: npt.NDArray[np.bool_],
        prediction: npt.NDArray[np.bool_] | None,
        image: GreyImage | None = None,
    ) -> None:
        """Take a case, and keep its picture while it is one of the worst; volumes have none.

        Args:
            case: scored from the next two.
            reference: its mask.
            prediction: None: there is none.
            image: None: it is not at hand.
        """
        self.cases.append(case)
        if reference.ndim != 2:
            return
        shown = np.full(reference.shape, 255, np.uint8) if image is None else image
        picture = Picture(case, shown, reference, np.zeros_like(reference) if prediction is None else prediction)
        if case.is_patient:
            worst = sorted([*self.patients, picture], key=lambda one: (one.case.dice, -one.reference.sum()))
            self.patients = worst[:SHOWN_PATIENTS]
        elif picture.prediction.any():
            worst = sorted([*self.controls, picture], key=lambda one: -one.prediction.sum())
            self.controls = worst[:SHOWN_CONTROLS]
