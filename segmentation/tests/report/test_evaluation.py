from base64 import b64decode
from datetime import UTC, datetime
from io import BytesIO

import numpy as np
from PIL import Image as PillowImage

from mipseg.evaluation.scoring import Scores, score_case
from mipseg.evaluation.summary import compare_cases, evaluate
from mipseg.report.evaluation import evaluation_page
from mipseg.report.figure import FALSE_NEGATIVE, FALSE_POSITIVE, TRUE_POSITIVE
from mipseg.report.html import MISSING
from tests.evaluation.test_summary import CONTROL, PATIENT, mask
from tests.report.pages import Page, read_page

MADE = datetime(2026, 12, 1, tzinfo=UTC)
HALF = mask((0, 0, 4), (30, 30, 4))


def scores_of(*, seconds: float | None = None, failed: bool = False) -> Scores:
    """Two patients of Dice 1 and 2/3, and a control with false tumour; with `failed`, a third patient."""
    scores = Scores("px")
    for name, reference, prediction in (("a", PATIENT, PATIENT), ("b", PATIENT, HALF), ("c", CONTROL, HALF)):
        found = score_case(name, reference, prediction, seconds=seconds, has_tumour=0.5)
        scores.add(found, reference, prediction, np.full((40, 40), 200, np.uint8))
    if failed:
        scores.failed["d"] = "the answer's status is 500"
        scores.add(score_case("d", PATIENT, None, seconds=seconds), PATIENT, None)
    return scores


def page_of(scores: Scores, other: Scores | None = None) -> Page:
    comparison = None if other is None else compare_cases(scores, other)
    return read_page(evaluation_page(scores, evaluate(scores), MADE, other, comparison))


def test_numbers_read_back() -> None:
    page = page_of(scores_of())
    assert page.facts == {
        "Mean Dice": "0.833 (95 % interval 0.667 to 1.000)", "Patients": "2",
        "Clean controls (no false lesion of 20 px or more)": "1 of 1 (100%)",
        "Controls with an empty mask": "0 of 1 (0%)",
    }  # fmt: skip
    caption = "A lesion counts as found, or as true, where it overlaps one of the other side"
    assert page.tables[caption] == [
        ["Size", "In references", "Found", "Sensitivity", "In predictions", "True", "Positive predictive value"],
        ["1-9 px", "0", "0", MISSING, "0", "0", MISSING],
        ["10-49 px", "2", "2", "100%", "5", "2", "40%"],
        ["50-249 px", "0", "0", MISSING, "0", "0", MISSING],
        ["from 250 px", "0", "0", MISSING, "0", "0", MISSING],
    ]
    assert page.tables["1"] == [
        ["Case", "Dice", "Kind", "Reference (px)", "Prediction (px)", "Seconds"],
        ["c", "0.000", "control", "0", "32", MISSING],
        ["b", "0.667", "patient", "16", "32", MISSING],
        ["a", "1.000", "patient", "16", "16", MISSING],
    ]


def test_pictures_are_told_and_coloured() -> None:
    page = page_of(scores_of())
    assert page.pictures[0].endswith("Cases by the lower end of their class: 0.6: 1; 0.9: 1")
    assert page.pictures[1].endswith(": 0.50 predicted, 0.67 observed, 3 cases")
    assert page.pictures[2:4] == [
        "Image of b",
        "The same with 16 px true positive, 16 px false positive, 0 px false negative",
    ]
    assert "b: Dice 0.667; 16 px true positive" in page.text
    assert "c: 0 px true positive, 32 px false positive, 0 px false negative" in page.text
    images = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    with PillowImage.open(BytesIO(b64decode(images[1].partition(",")[2]))) as picture:
        assert (picture.getpixel((2, 2)), picture.getpixel((31, 31))) == (TRUE_POSITIVE, FALSE_POSITIVE)
        assert FALSE_NEGATIVE not in {colour for _, colour in picture.getcolors() or []}


def test_times_and_failures_of_an_endpoint() -> None:
    page = page_of(scores_of(seconds=0.25, failed=True))
    assert page.facts["Mean Dice"].startswith("0.556 ")
    assert page.facts["Seconds per image"] == "median 0.25, 95 % within 0.25, most 0.25"
    assert (page.facts["Over 10 s"], page.facts["Without a usable mask"]) == ("0 of 4", "1")
    assert page.tables["1"] == [["Case", "Why"], ["d", "the answer's status is 500"]]
    assert "d: no usable mask" in page.text


def test_two_predictions_compared() -> None:
    other = Scores("px")
    for name, reference, prediction in (("a", PATIENT, HALF), ("b", PATIENT, HALF), ("c", CONTROL, CONTROL)):
        other.add(score_case(name, reference, prediction), reference, prediction)
    other.failed["e"] = "there is no prediction"
    page = page_of(scores_of(), other)
    assert page.facts["Dice minus the other's"] == "+0.167 (95 % interval +0.000 to +0.333)"
    assert page.facts["Without a usable mask of the other"] == "1"
    assert page.facts["Better, worse, the same"] == "1, 0, 1"
    assert page.facts["Clean controls (no false lesion of 20 px or more)"] == "1, the other's 1, of 1"
    dots = [a["class"] for tag, a in page.tags if tag == "circle" and a["class"] != "dot"]
    assert dots == ["win"]


def test_one_lesion_found_by_two_true_ones() -> None:
    scores = Scores("px")
    reference, prediction = mask((0, 0, 12)), mask((0, 0, 4), (6, 6, 4), (30, 30, 4))
    scores.add(score_case("a", reference, prediction), reference, prediction)
    rows = {row[0]: row[1:] for table in page_of(scores).tables.values() for row in table}
    assert rows["10-49 px"] == ["0", "0", MISSING, "3", "2", "67%"]
    assert rows["50-249 px"] == ["1", "1", "100%", "0", "0", MISSING]
