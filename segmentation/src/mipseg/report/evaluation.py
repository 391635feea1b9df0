"""The page of an evaluation: how good masks are, with the worst cases to look at."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mipseg.constants import REPLY_DEADLINE_S
from mipseg.evaluation.scoring import Picture, ScoredCase, Scores
from mipseg.evaluation.summary import Comparison, Evaluation, Interval
from mipseg.metrics import CLEAN
from mipseg.report.charts import calibration_square, comparison_square, dice_histogram
from mipseg.report.figure import agreement_image
from mipseg.report.html import MISSING, body_columns, data_url, fixed, render
from mipseg.report.words import anonymous


def evaluation_page(
    scores: Scores,
    found: Evaluation,
    made: datetime,
    other: Scores | None = None,
    comparison: Comparison | None = None,
) -> str:
    """Make the page.

    Args:
        scores: of all cases, with pictures of the worst.
        found: what is made of them.
        made: the page's date.
        other: what it was compared with, if it was.
        comparison: of both.
    """
    patients = [case.dice for case in scores.cases if case.is_patient]
    cases = sorted(scores.cases, key=lambda case: (case.dice, case.name))
    return render(
        "evaluation.html",
        title=f"Evaluation of {len(cases)} cases",
        facts=facts_of(found),
        charts=[dice_histogram("Dice of the patients, by the lower end of its class", patients)] if patients else [],
        calibration=calibration_square(found.calibration) if found.calibration else None,
        comparison=None if other is None or comparison is None else _comparison(scores, other, comparison),
        lesions=_lesion_rows(found),
        patients=[show(picture) for picture in scores.patients],
        controls=[show(picture) for picture in scores.controls],
        failed=[(case, anonymous(reason)) for case, reason in sorted(found.failed.items())],
        headings=["Dice", "Kind", f"Reference ({scores.unit})", f"Prediction ({scores.unit})", "Seconds"],
        cases=[(case.name, _case_values(case)) for case in cases],
        made=made.date().isoformat(),
    )


def facts_of(found: Evaluation) -> list[tuple[str, str]]:
    """The main numbers of an evaluation, in rows of name and value."""
    rows = [("Mean Dice", _with_interval(found.dice)), ("Patients", str(found.dice.cases))]
    if found.controls:
        rows.append((f"Clean controls ({CLEAN})", _part(found.clean_controls, found.controls)))
        rows.append(("Controls with an empty mask", _part(found.empty_controls, found.controls)))
    if found.failed:
        rows.append(("Without a usable mask", str(len(found.failed))))
    if found.timings is not None:
        times = found.timings
        text = f"median {times.p50_s:.2f}, 95 % within {times.p95_s:.2f}, most {times.max_s:.2f}"
        rows += [("Seconds per image", text), (f"Over {REPLY_DEADLINE_S:g} s", f"{times.late} of {times.images}")]
    return rows


def _part(count: int, total: int) -> str:
    return f"{count} of {total} ({count / total:.0%})"


def _with_interval(found: Interval, sign: str = "") -> str:
    if found.mean is None:
        return MISSING
    between = "" if found.low is None else f" (95 % interval {found.low:{sign}.3f} to {found.high:{sign}.3f})"
    return f"{found.mean:{sign}.3f}{between}"


def _comparison(scores: Scores, other: Scores, comparison: Comparison) -> Mapping[str, Any]:
    by_name = {case.name: case.dice for case in other.cases}
    pairs = [(c.name, by_name[c.name], c.dice) for c in scores.cases if c.is_patient and c.name in by_name]
    facts = [
        ("Dice minus the other's", _with_interval(comparison.difference, "+")),
        ("Patients of both", str(comparison.difference.cases)),
        ("Better, worse, the same", f"{comparison.wins}, {comparison.losses}, {comparison.ties}"),
    ]
    if comparison.controls:
        clean = f"{comparison.clean}, the other's {comparison.clean_other}, of {comparison.controls}"
        facts.append((f"Clean controls ({CLEAN})", clean))
    if comparison.failed:
        facts.append(("Without a usable mask of the other", str(len(comparison.failed))))
    return {"facts": facts, "points": comparison_square(pairs)}


def _lesion_rows(found: Evaluation) -> list[tuple[str, tuple[str, ...]]]:
    return [
        (
            row.size,
            (
                *(str(row.reference), str(row.found), _share(row.found, row.reference)),
                *(str(row.prediction), str(row.true), _share(row.true, row.prediction)),
            ),
        )
        for row in found.lesions
    ]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else MISSING


def _case_values(case: ScoredCase) -> Sequence[str]:
    decimals = 0 if case.side == 1 else 1
    areas = case.match.reference_area.sum() * case.side, case.match.prediction_area.sum() * case.side
    kind = "patient" if case.is_patient else "control"
    return fixed(case.dice, 3), kind, *(fixed(float(area), decimals) for area in areas), fixed(case.seconds)


def show(picture: Picture) -> dict[str, str]:
    """A case in two pictures, and in words: the image, and where reference and prediction agree."""
    case, hit = picture.case, int((picture.reference & picture.prediction).sum())
    areas = int(picture.reference.sum()), int(picture.prediction.sum())
    counts = f"{hit} px true positive, {areas[1] - hit} px false positive, {areas[0] - hit} px false negative"
    body = body_columns(picture.image, picture.reference | picture.prediction)
    agreement = agreement_image(picture.image, picture.reference, picture.prediction)
    dice = f"Dice {case.dice:.3f}; " if case.is_patient else ""
    return {
        "name": case.name,
        "image": data_url(picture.image[:, body]),
        "agreement": data_url(agreement[:, body]),
        "alt": f"The same with {counts}",
        "caption": f"{case.name}: {dice}{counts}" if case.answered else f"{case.name}: no usable mask",
    }
