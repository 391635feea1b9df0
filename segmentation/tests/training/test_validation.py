import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from mipseg.io.dataset import Case  # noqa: E402
from mipseg.training.network import UNet  # noqa: E402
from mipseg.training.validation import validate, validation_part  # noqa: E402

CPU = torch.device("cpu")


class HotIsTumour(UNet):
    """Stands in for a network: intensity above 0.5 is tumour."""

    def __init__(self) -> None:
        super().__init__((8, 8, 8), 1)

    def forward(self, x):  # type: ignore[no-untyped-def]
        return super().forward(x)._replace(tumour=100 * (x - 0.5))


def case(name: str, hot: int, tumour: int) -> Case:
    """An image with a hot row of some pixels, the first of which are tumour."""
    image, mask = np.full((64, 64), 255, np.uint8), np.zeros((64, 64), bool)
    image[10, 2 : 2 + hot], mask[10, 2 : 2 + tumour] = 0, True
    return Case(name, image, mask)


def test_dice_of_patients_and_share_of_clean_controls_worked_out_by_hand() -> None:
    patients = [case("patient_0", 20, 20), case("patient_1", 30, 10)]  # Dice 1, and 2 * 10 / 40
    controls = [case("control_0", 20, 0), case("control_1", 19, 0), case("control_2", 0, 0), case("control_3", 19, 0)]
    controls[3].image[30, 2:21] = 0  # a second component, with which there are 38 false pixels in all
    score = validate(HotIsTumour().eval(), [*patients, *controls], CPU)
    assert score == pytest.approx((0.75, 3 / 4))


def test_without_patients_or_controls_there_is_no_score() -> None:
    assert np.isnan(validate(HotIsTumour().eval(), [case("control_0", 0, 0)], CPU).dice)
    assert np.isnan(validate(HotIsTumour().eval(), [case("patient_0", 1, 1)], CPU).clean)


def test_the_part_is_always_the_same() -> None:
    cases = [case(f"{kind}_{n:03}", 1, kind == "patient") for kind in ("patient", "control") for n in range(30)]
    part = validation_part(cases)
    assert [c.has_tumour for c in part] == [True] * 12 + [False] * 12
    assert [c.id for c in part] == [c.id for c in validation_part(cases[::-1])]
    assert [c.id for c in part][:12] != [c.id for c in cases][:12]
    assert len(validation_part(cases[:5])) == 5
