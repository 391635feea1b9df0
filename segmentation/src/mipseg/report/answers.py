"""The page on what an endpoint answered, whoever asked it: its own team, or a judge."""

from collections.abc import Sequence
from dataclasses import dataclass

from mipseg.evaluation.scoring import Picture
from mipseg.report.charts import dice_histogram
from mipseg.report.evaluation import show
from mipseg.report.html import fixed, render


@dataclass(frozen=True)
class AnswerRow:
    """One answer.

    Attributes:
        name: of the image.
        dice: its score.
        seconds: until the answer.
        problem: why it can't be used; empty if it can.
        file: what kind of file the mask came in; empty where that is not known.
        picture: address of a file that shows it, relative to the page; empty where there is none.
    """

    name: str
    dice: float
    seconds: float
    problem: str
    file: str = ""
    picture: str = ""

    @property
    def values(self) -> tuple[str, str]:
        """Dice and seconds."""
        return fixed(self.dice, 3), fixed(self.seconds)


def answers_page(
    title: str,
    facts: Sequence[tuple[str, str]],
    rows: Sequence[AnswerRow],
    pictures: Sequence[Picture],
    note: str = "",
) -> str:
    """Make the page.

    Args:
        title: its heading.
        facts: names and values above all others.
        rows: one for each image.
        pictures: of the worst.
        note: below the table.
    """
    return render(
        "answers.html",
        title=title,
        facts=facts,
        chart=dice_histogram("Dice of the images, by the lower end of its class", [row.dice for row in rows]),
        rows=sorted(rows, key=lambda row: (row.dice, row.name)),
        has_files=any(row.file for row in rows),
        pictures=[show(picture) for picture in pictures],
        note=note,
    )
