"""The report of an attempt: a page to keep, made of the same parts as the reports of `mipseg`."""

from collections.abc import Sequence

from mipjudge.models import Attempt, Result
from mipjudge.service import Judge
from mipjudge.sets import describe_images
from mipseg.evaluation.scoring import Picture, score_case
from mipseg.evaluation.summary import interval, time_report
from mipseg.io.mask_png import decode_binary
from mipseg.report.answers import AnswerRow, answers_page
from mipseg.types import BinaryMask


def attempt_report(judge: Judge, attempt: Attempt, results: Sequence[Result]) -> str:
    """Make the page of a finished validation.

    Args:
        judge: with the images, of which a local judge shows the worst unless they have been changed since.
        attempt: the validation.
        results: of all its images.
    """
    mean, times = interval([result.score for result in results]), time_report([result.seconds for result in results])
    between = "" if mean.low is None else f" (95 % interval {mean.low:.3f} to {mean.high:.3f})"
    facts = [
        ("Mean Dice", f"{attempt.score or 0.0:.4f}{between}"),
        ("Images", describe_images(attempt.source, attempt.total)),
        ("Without a usable mask", str(sum(result.reason is not None for result in results))),
        ("Seconds per image", f"median {times.p50_s:.2f}, 95 % within {times.p95_s:.2f}, most {times.max_s:.2f}"),
        ("Address", attempt.url),
        ("Attempt", attempt.id),
    ]
    rows = [
        AnswerRow(
            _name(result.position),
            result.score,
            result.seconds,
            ": ".join(filter(None, (result.reason, result.detail))),
        )
        for result in results
    ]
    masks = judge.shown_masks(attempt).items()
    pictures = [_picture(judge, position, decode_binary(mask)) for position, mask in masks]
    return answers_page("Attempt: validation", facts, rows, pictures)


def _name(position: int) -> str:
    return f"image {position + 1:03}"


def _picture(judge: Judge, position: int, mask: BinaryMask) -> Picture:
    case = judge.sets.validation.case(position)
    return Picture(score_case(_name(position), case.mask, mask), case.image, case.mask, mask)
