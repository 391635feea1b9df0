"""No image of the data set or phantom is changed or doubted; the data set is skipped where it is not installed."""

import numpy as np
import pytest

from mipseg.io.dataset import iter_cases
from mipseg.phantom import make_phantom
from mipseg.repair import InputWarning, repair
from mipseg.settings import Settings
from tests.repair.bodies import intensity

DATA = Settings().data_dir


@pytest.mark.long
@pytest.mark.parametrize("height", [350, 489, 930])
def test_every_phantom_passes_as_it_is(height: int) -> None:
    for seed in range(60):
        plain = intensity(make_phantom(seed, height=height).mip)
        repaired = repair(plain)
        assert repaired.warnings == (), seed
        np.testing.assert_array_equal(repaired.intensity, plain, err_msg=str(seed))


@pytest.mark.long
@pytest.mark.skipif(not (DATA / "patients").is_dir(), reason=f"THE DATA SET IS NOT INSTALLED in {DATA}: make data")
def test_every_image_of_the_data_set_passes_as_it_is_and_an_altered_one_is_repaired() -> None:
    missed = count = 0
    for case in iter_cases(DATA):
        plain = intensity(case.image)
        repaired = repair(plain)
        assert repaired.warnings == (), case.id
        np.testing.assert_array_equal(repaired.intensity, plain, err_msg=case.id)
        inverted = repair(intensity(255 - case.image))
        assert inverted.warnings == (InputWarning.INVERTED,), case.id
        np.testing.assert_array_equal(inverted.intensity, plain, err_msg=case.id)
        missed += InputWarning.ORIENTATION not in repair(intensity(case.image[::-1])).warnings
        count += 1
    assert missed <= 0.05 * count
