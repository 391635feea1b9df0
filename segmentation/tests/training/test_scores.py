import numpy as np
import pytest

from mipseg.training.scores import auc, bootstrap_interval, lesion_report, reliability


def test_auc_of_hand_worked_ranks():
    truth = np.array([True, True, False, False])
    assert auc(np.array([0.9, 0.8, 0.2, 0.1]), truth) == 1
    assert auc(np.array([0.1, 0.2, 0.8, 0.9]), truth) == 0
    assert auc(np.array([0.9, 0.3, 0.5, 0.1]), truth) == 0.75
    assert auc(np.array([0.5, 0.5, 0.5, 0.5]), truth) == 0.5


def test_bootstrap_interval_holds_the_mean_and_is_repeatable():
    values = np.random.default_rng(0).normal(0.7, 0.2, 142)
    low, high = bootstrap_interval(values)
    assert low < values.mean() < high
    # The normal approximation of the same interval.
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(142), rel=0.05)
    assert bootstrap_interval(values) == (low, high)


def test_reliability_counts_every_case_in_its_bin():
    # Eight bins: up to 0.125, up to 0.25, ...; the last one holds 1.0 as well.
    score = np.array([0.0, 0.1, 0.125, 0.9, 0.95, 1.0])
    truth = np.array([False, True, False, True, True, False])
    first, second, last = reliability(score, truth)
    assert first == pytest.approx((0.05, 0.5, 2))
    assert second == (0.125, 0.0, 1)
    assert last == pytest.approx((0.95, 2 / 3, 3))


def test_lesion_report_worked_out_by_hand():
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
    assert loose["sensitivity_by_px"] == {
        "1-9": [None, 0],
        "10-49": [0.6667, 3],
        "50-249": [None, 0],
        "250+": [None, 0],
    }
    assert strict["ppv_by_px"] == {"1-9": [0.0, 3], "10-49": [1.0, 1], "50-249": [None, 0], "250+": [None, 0]}


def test_lesion_report_of_nothing_found():
    reference = np.ones((4, 4), bool)
    report = lesion_report([(reference, np.zeros((4, 4), bool))])["any_overlap"]
    assert (report["sensitivity"], report["ppv"], report["f1"]) == (0, 0, 0)
