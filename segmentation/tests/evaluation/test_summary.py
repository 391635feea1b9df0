"""Scores and what is made of them: numbers that can be worked out by hand."""

from dataclasses import asdict, astuple

import numpy as np
import numpy.typing as npt
import pytest

from mipseg.evaluation.scoring import SHOWN_PATIENTS, ScoredCase, Scores, score_case
from mipseg.evaluation.summary import compare_cases, evaluate, interval, time_report


def mask(*boxes: tuple[int, int, int]) -> npt.NDArray[np.bool_]:
    """40 x 40 pixels; squares with this first row, first column and side."""
    found = np.zeros((40, 40), bool)
    for row, column, side in boxes:
        found[row : row + side, column : column + side] = True
    return found


PATIENT, CONTROL = mask((0, 0, 4)), mask()


def scored(*cases: tuple[str, npt.NDArray[np.bool_], npt.NDArray[np.bool_] | None], **more: float) -> Scores:
    scores = Scores("px")
    for name, reference, prediction in cases:
        scores.add(score_case(name, reference, prediction, **more), reference, prediction)
    return scores


def test_no_usable_answer_scores_0_also_for_a_control() -> None:
    patient, control = score_case("a", PATIENT, None), score_case("b", CONTROL, None)
    assert [(case.dice, case.is_clean, case.is_patient) for case in (patient, control)] == [
        (0, False, True), (0, False, False),
    ]  # fmt: skip
    found = evaluate(scored(("a", PATIENT, None), ("b", CONTROL, None), ("c", CONTROL, CONTROL)))
    assert (found.controls, found.clean_controls, found.empty_controls) == (2, 1, 1)
    assert found.scores == {"a": 0, "b": 0, "c": 1}
    assert (found.lesions[1].reference, found.lesions[1].found) == (1, 0)


def test_a_control_is_clean_without_a_false_lesion_of_20_px() -> None:
    row = np.zeros_like(CONTROL)
    row[0, :20] = True
    shorter, two = row.copy(), row.copy()
    shorter[0, 0] = two[0, 0] = False
    two[5] = two[0]  # 38 px in all
    found = evaluate(scored(("a", CONTROL, CONTROL), ("b", CONTROL, shorter), ("c", CONTROL, two), ("d", CONTROL, row)))
    assert (found.controls, found.clean_controls, found.empty_controls) == (4, 3, 1)


def test_lesions_of_volumes_are_counted_in_ml() -> None:
    scores = Scores("ml")
    reference, prediction = mask((0, 0, 4)), mask((0, 0, 5), (20, 20, 2))  # of 0.25 ml a voxel: 4, 6.25 and 1 ml
    scores.add(score_case("a", reference, prediction, 0.25), reference, prediction)
    assert [astuple(row) for row in evaluate(scores).lesions] == [
        ("0-1 ml", 0, 0, 0, 0), ("1-5 ml", 1, 1, 1, 0), ("5-20 ml", 0, 0, 1, 1), ("from 20 ml", 0, 0, 0, 0),
    ]  # fmt: skip


def test_the_worst_are_kept_in_order() -> None:
    half = mask((0, 0, 4), (30, 30, 4))  # Dice 2 x 16 / 48
    cases = [(f"p{number}", PATIENT, PATIENT) for number in range(SHOWN_PATIENTS)]
    scores = scored(
        *cases, ("half", PATIENT, half), ("missed", PATIENT, CONTROL), ("large", mask((0, 0, 9)), CONTROL),
        ("clean", CONTROL, CONTROL), ("some", CONTROL, PATIENT), ("more", CONTROL, half),
    )  # fmt: skip
    assert [picture.case.name for picture in scores.patients][:4] == ["large", "missed", "half", "p0"]
    assert len(scores.patients) == SHOWN_PATIENTS
    assert [picture.case.name for picture in scores.controls] == ["more", "some"]
    assert len(scores.cases) == SHOWN_PATIENTS + 6


def test_calibration_of_the_cases_whose_probability_is_known() -> None:
    scores = Scores("px")
    for name, reference, probability in (("a", PATIENT, 0.9), ("b", CONTROL, 0.95), ("c", CONTROL, 0.1)):
        scores.add(score_case(name, reference, reference, has_tumour=probability), reference, reference)
    scores.add(score_case("d", PATIENT, PATIENT), PATIENT, PATIENT)
    assert [tuple(group) for group in evaluate(scores).calibration] == [(0.1, 0.0, 1), (pytest.approx(0.925), 0.5, 2)]
    assert evaluate(scored(("a", PATIENT, PATIENT))).calibration == ()


def test_times() -> None:
    times = time_report([*range(1, 10), 10.0, 10.5])
    assert asdict(times) == {"images": 11, "p50_s": 6, "p95_s": 10.25, "max_s": 10.5, "late": 1}
    found = evaluate(scored(("a", PATIENT, PATIENT), seconds=0.25))
    assert (found.timings and found.timings.max_s, found.seconds) == (0.25, {"a": 0.25})
    assert evaluate(scored(("a", PATIENT, PATIENT))).timings is None


def case(name: str, dice: float, *, clean: bool | None = None) -> ScoredCase:
    """A patient with this Dice; with `clean`, a control."""
    reference = PATIENT if clean is None else CONTROL
    made = score_case(name, reference, CONTROL if clean else mask((0, 0, 5)))
    return ScoredCase(name, dice, made.match)


def test_comparison_is_case_by_case() -> None:
    first = [
        case("a", 0.9),
        case("b", 0.5),
        case("c", 0.4),
        case("d", 0.1),
        case("x", 1, clean=True),
        case("y", 1, clean=True),
    ]
    other = [
        case("b", 0.6),
        case("a", 0.5),
        case("c", 0.4),
        case("e", 0.9),
        case("x", 0, clean=False),
        case("y", 1, clean=True),
    ]
    found = compare_cases(Scores("px", first), Scores("px", other, {"d": "there is no prediction"}))
    assert found.failed == {"d": "there is no prediction"}
    assert (found.wins, found.losses, found.ties) == (1, 1, 1)
    assert (found.controls, found.clean, found.clean_other) == (2, 2, 1)
    assert found.difference.cases == 3
    assert found.difference.mean == pytest.approx((0.4 - 0.1 + 0) / 3)
    assert found.difference.low == pytest.approx(-0.1)
    assert found.difference.high == pytest.approx(0.4)


def test_a_constant_difference_has_no_width() -> None:
    first, other = (Scores("px", cases) for cases in (
        [case("a", 0.75), case("b", 0.5)], [case("a", 0.5), case("b", 0.25)],
    ))  # fmt: skip
    differences = compare_cases(first, other).difference
    assert (differences.mean, differences.low, differences.high) == (0.25, 0.25, 0.25)
    assert asdict(interval([])) == {"mean": None, "low": None, "high": None, "cases": 0}
