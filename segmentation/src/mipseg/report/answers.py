"""The page on what an endpoint answered to a few images, whose files lie beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from mipseg.evaluation import Evaluation
from mipseg.report.evaluation import facts_of, show
from mipseg.report.html import fixed, render
from mipseg.scoring import ScoredCase, Scores


@dataclass(frozen=True, eq=False)
class AnswerRow:
    """One answer.

    Attributes:
        case: scored.
        file: what kind of file the mask came in; empty where none came.
        problem: why it can't be used; empty if it can.
    """

    case: ScoredCase
    file: str
    problem: str

    @property
    def picture(self) -> str:
        """Address of the file that shows everything side by side, relative to the page."""
        return f"{quote(self.case.name)}_side_by_side.png"

    @property
    def values(self) -> tuple[str, str]:
        """Dice and seconds."""
        return fixed(self.case.dice, 3), fixed(self.case.seconds)


def answers_page(
    url: str, source: str, rows: Sequence[AnswerRow], scores: Scores, found: Evaluation, made: datetime
) -> str:
    """Make the page.

    Args:
        url: the endpoint.
        source: what images were sent.
        rows: one for each image.
        scores: of all of them, with pictures of the worst.
        found: what is made of them.
        made: the page's date.
    """
    ordered = sorted(rows, key=lambda row: (row.case.dice, row.case.name))
    facts = [
        ("Endpoint", url),
        ("Images", f"{len(rows)} {source}"),
        *facts_of(found),
        ("Made", made.date().isoformat()),
    ]
    return render(
        "answers.html",
        facts=facts,
        rows=ordered,
        patients=[show(picture) for picture in scores.patients],
    )
