import pytest

from mipseg.metrics import CalibrationBin
from mipseg.report.charts import calibration_square, comparison_square, dice_histogram, log_histogram


def test_classes_of_volumes_grow_by_powers_of_ten() -> None:
    chart = log_histogram("Total MTV (ml)", [0, 0, 0.05, 0.1, 2.9, 3.0, 29.9, 1000])
    assert [(bar.label, bar.count) for bar in chart.bars] == [
        ("0", 2), ("< 0.1", 1), ("0.1", 1), ("0.3", 0), ("1", 1), ("3", 1), ("10", 1), ("30", 0), ("100", 0),
        ("300", 0), ("1k", 1),
    ]  # fmt: skip
    assert (chart.median, chart.highest) == ((0.1 + 2.9) / 2, 2)
    assert chart.text.startswith("Total MTV (ml). Cases by the lower end of their class: 0: 2; < 0.1: 1; 0.1: 1; 1: 1;")


def test_only_classes_between_filled_ones_are_shown() -> None:
    assert [bar.label for bar in log_histogram("x", [2, 40]).bars] == ["1", "3", "10", "30"]
    assert [bar.label for bar in log_histogram("x", [1e9]).bars] == ["30k"]


def test_no_values_no_bars() -> None:
    chart = log_histogram("x", [])
    assert (chart.bars, chart.median, chart.highest) == ((), None, 1)


def test_dice_on_an_edge_is_of_the_upper_class_and_1_of_the_last() -> None:
    chart = dice_histogram("Dice", [0, 0.0999, 0.1, 0.3, 0.7, 0.95, 1.0])
    assert [bar.count for bar in chart.bars] == [2, 1, 0, 1, 0, 0, 0, 1, 0, 2]
    assert chart.median == pytest.approx(0.3)


def test_calibration_in_words_and_points() -> None:
    square = calibration_square([CalibrationBin(0.1, 0.25, 4), CalibrationBin(0.9, 1.0, 3)])
    assert [(point.x, point.y, point.label) for point in square.points] == [(0.1, 0.25, "4"), (0.9, 1.0, "3")]
    assert square.text == "0.10 predicted, 0.25 observed, 4 cases; 0.90 predicted, 1.00 observed, 3 cases"


def test_wins_lie_above_the_diagonal() -> None:
    square = comparison_square([("a", 0.5, 0.75), ("b", 0.5, 0.25), ("c", 0.5, 0.5)])
    assert [(point.x, point.y, point.kind) for point in square.points] == [
        (0.5, 0.75, "win"),
        (0.5, 0.25, "loss"),
        (0.5, 0.5, "dot"),
    ]
    assert square.points[0].label == "a: 0.500, 0.750"
