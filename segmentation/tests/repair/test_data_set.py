"""No image of the data set is changed or doubted; skipped where the data set is not installed."""

import numpy as np
import pytest

from mipseg.io.dataset import iter_cases
from mipseg.repair import InputWarning, repair
from mipseg.settings import Settings
from tests.repair.bodies import intensity

DATA = Settings().data_dir


@pytest.mark.long
@pytest.mark.skipif(not (DATA / "patients").is_dir(), reason=f"THE DATA SET IS NOT INSTALLED in {DATA}: make data")
def test_every_image_of_the_data_set_passes_as_it_is_and_a_turned_one_is_turned() -> None:
    missed = count = 0
    for case in iter_cases(DATA):
        plain = intensity(case.image)
        repaired = repair(plain)
        assert repaired.warnings == (), case.id
        np.testing.assert_array_equal(repaired.intensity, plain, err_msg=case.id)
        missed += InputWarning.ORIENTATION not in repair(intensity(case.image[::-1])).warnings
        count += 1
    assert missed <= 0.05 * count
