import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed: uv sync --extra train")

from mipseg.metrics import bootstrap_interval
from mipseg.training.scores import lesion_report


def test_bootstrap_interval_holds_the_mean_and_is_repeatable() -> None:
    values = np.random.default_rng(0).normal(0.7, 0.2, 142)
    low, high = bootstrap_interval(values)
    assert low < values.mean() < high
    # The normal approximation of the same interval.
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(142), rel=0.05)
    assert bootstrap_interval(values) == (low, high)


def test_bootstrap_interval_of_two_cases_is_known() -> None:
    # The mean of two draws from {0, 1} is 0, 0.5 or 1, with 1/4, 1/2 and 1/4: the middle 95 % hold all of them.
    assert bootstrap_interval(np.array([0.0, 1.0])) == (0, 1)
    assert bootstrap_interval(np.array([0.5, 0.5])) == (0.5, 0.5)


def test_lesion_report_worked_out_by_hand() -> None:
    reference, prediction = np.zeros((2, 30, 30), bool)
    reference[0:4, 0:4] = prediction[0:4, 0:4] = True  # 16 px, found
    reference[10, 0:10] = True  # 10 px, missed
    reference[20:24, 0:5] = True  # 20 px, touched in one pixel: IoU 1 / 28
    prediction[23:26, 4:7] = True  # 9 px
    prediction[15, 20:22] = prediction[18, 20] = True  # 2 px and 1 px, false
    report = lesion_report([(reference, prediction)])
    loose, strict = report["any_overlap"], report["iou_0.1"]
    assert (loose["sensitivity"], loose["ppv"], loose["f1"]) == pytest.approx((2 / 3, 1 / 2, 4 / 7))
    assert (strict["sensitivity"], strict["ppv"], strict["f1"]) == pytest.approx((1 / 3, 1 / 4, 2 / 7))
    nothing = {"share": None, "lesions": 0}
    assert loose["sensitivity_by_px"] == {
        "1-9": nothing,
        "10-49": {"share": pytest.approx(2 / 3), "lesions": 3},
        "50-249": nothing,
        "250+": nothing,
    }
    assert strict["ppv_by_px"] == {
        "1-9": {"share": 0.0, "lesions": 3},
        "10-49": {"share": 1.0, "lesions": 1},
        "50-249": nothing,
        "250+": nothing,
    }


def test_lesion_report_of_nothing_found() -> None:
    reference = np.ones((4, 4), bool)
    report = lesion_report([(reference, np.zeros((4, 4), bool))])["any_overlap"]
    assert (report["sensitivity"], report["ppv"], report["f1"]) == (0, 0, 0)


def test_lesion_report_without_lesions_has_no_sensitivity() -> None:
    healthy, marked = np.zeros((4, 4), bool), np.eye(4, dtype=bool)
    for prediction in (healthy, marked):
        report = lesion_report([(healthy, prediction)])["any_overlap"]
        assert (report["sensitivity"], report["ppv"], report["f1"]) == (None, 0, None)
