"""`validate --save-images`: what the endpoint answers to images that are at hand here, to look at."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from urllib.parse import quote

from mipseg.endpoint.ask import Answer, EndpointClient
from mipseg.evaluation.scoring import Scores, score_case
from mipseg.evaluation.summary import Evaluation, evaluate
from mipseg.io.dataset import Case, installed_dataset, iter_cases
from mipseg.io.mask_png import describe_mask_file
from mipseg.io.write import write_bytes, write_png, write_text
from mipseg.phantom import make_phantom
from mipseg.report.answers import AnswerRow, answers_page
from mipseg.report.evaluation import facts_of
from mipseg.report.figure import side_by_side
from mipseg.settings import Settings

IMAGES, PHANTOMS = 20, 5  # that are sent; a phantom takes half a second to draw
PAGE = "index.html"
NOTE = (
    "The names lead to pictures of image, reference, answer and agreement. Beside them lie the images as they were "
    "sent (_sent.png) and the answers as they came (_answer.png). Pass them on only where you may."
)


@dataclass(frozen=True)
class Saved:
    """What came of it.

    Attributes:
        source: what images were sent.
        evaluation: of the answers.
        page: the file to look at.
    """

    source: str
    evaluation: Evaluation
    page: Path


class NobodyAnswersError(Exception):
    """Nobody takes a connection at the endpoint's address."""


def save_images(url: str, folder: Path, settings: Settings) -> Saved:
    """Ask an endpoint for masks and save them: sent, answered, side by side, and a page on all of them.

    The images are the first patients of the installed data set, else phantoms.

    Args:
        url: the endpoint.
        folder: where the files go; made if it is missing.
        settings: where the data set lies.

    Raises:
        NobodyAnswersError: see there; nothing was saved.
        InputError: the address can't be used.
        DatasetError: the data set is damaged.
        OSError: there is no room, no right to write, ...
    """
    source, cases = _cases(settings)
    scores, rows = Scores("px"), list[AnswerRow]()
    with EndpointClient(url) as endpoint:
        for case in cases:
            answer = endpoint.ask(case.image)
            if not (answer.reached or rows):
                raise NobodyAnswersError
            scored = score_case(case.id, case.mask, answer.mask, seconds=answer.seconds)
            scores.add(scored, case.mask, answer.mask, case.image)
            if answer.mask is None:
                scores.failed[case.id] = answer.problem
            _write(folder, case, answer)
            file = describe_mask_file(answer.png, case.mask) if answer.png else ""
            picture = f"{quote(case.id)}_side_by_side.png"
            rows.append(AnswerRow(case.id, scored.dice, answer.seconds, answer.problem, file, picture))
    found = evaluate(scores)
    facts = [("Endpoint", endpoint.url), ("Images", f"{len(rows)} {source}"), *facts_of(found)]
    pictures = [*scores.patients, *scores.controls]
    write_text(folder / PAGE, answers_page("Answers of the endpoint", facts, rows, pictures, NOTE))
    return Saved(source, found, folder / PAGE)


def _cases(settings: Settings) -> tuple[str, Iterator[Case]]:
    if root := installed_dataset(settings):
        return "images of the data set", islice(iter_cases(root), IMAGES)
    return "phantoms", _phantoms()


def _phantoms() -> Iterator[Case]:
    for seed in range(1, PHANTOMS + 1):
        phantom = make_phantom(seed)
        yield Case(f"phantom_{seed}", phantom.mip, phantom.mask)


def _write(folder: Path, case: Case, answer: Answer) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_png(folder / f"{case.id}_sent.png", case.image)
    answered = folder / f"{case.id}_answer.png"
    answered.unlink(missing_ok=True)  # of an earlier call
    if answer.png:
        write_bytes(answered, answer.png)  # as it came
    write_png(folder / f"{case.id}_side_by_side.png", side_by_side(case.image, case.mask, answer.mask))
