"""Masks against their references, whether they lie in files or an endpoint makes them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from mipseg.engines.cases import PROJECTION, RECORD
from mipseg.engines.mask_files import (
    Reference,
    find_masks,
    of_kind,
    pair,
    probability_beside,
    read_grey,
    read_pair,
)
from mipseg.errors import InputError
from mipseg.evaluation.scoring import Scores, score_case
from mipseg.types import BinaryMask, GreyImage

UNITS = {"image": "px", "nifti": "ml"}  # of the sizes of lesions


def score_files(references: Sequence[Reference], prediction: Path) -> Scores:
    """Score mask files; a case without a usable one is named and not scored.

    Args:
        references: of one kind, at least one.
        prediction: a PNG or NIfTI mask, or a folder of them; see `mipseg.engines.mask_files.find_masks` and `pair`.

    Raises:
        InputError: nothing fits the references.
    """
    kind = references[0].kind
    scores = Scores(UNITS[kind])
    files = pair([reference.name for reference in references], of_kind(find_masks(prediction), kind))
    for reference in references:
        file = files[reference.name]
        try:
            if file is None:
                raise InputError("there is no prediction")
            true, found, side = read_pair(reference, file)
            image = _image_of(reference, file)
        except (InputError, OSError) as error:
            scores.failed[reference.name] = str(error)
            continue
        case = score_case(reference.name, true, found, side, has_tumour=probability_beside(file))
        scores.add(case, true, found, image if image is not None and image.shape == true.shape else None)
    return scores


def _image_of(reference: Reference, prediction: Path) -> GreyImage | None:
    """The image of a case; results of `mipseg segment` have it beside their mask."""
    beside = prediction.with_name(PROJECTION)
    is_result = (prediction.parent / RECORD).is_file() and beside.is_file()
    file = reference.image or (beside if is_result else None)
    return None if file is None or reference.kind != "image" else read_grey(file)


def score_endpoint(references: Sequence[Reference], url: str, advance: Callable[[], None]) -> Scores:
    """Score what an endpoint answers; as with the judge, an answer that can't be used scores 0.

    Args:
        references: PNG, each with its image.
        url: the endpoint.
        advance: called after each case.

    Raises:
        InputError: no image is at hand, the address can't be used, or nobody answers there.
    """
    if all(reference.image is None for reference in references):
        raise InputError("there are no images to send; --images names their folder")
    from mipseg.endpoint.ask import EndpointClient  # noqa: PLC0415 # an extra

    scores = Scores("px")
    with EndpointClient(url) as endpoint:
        for reference in references:
            try:
                image, true = _read_case(reference)
            except (InputError, OSError) as error:
                scores.failed[reference.name] = str(error)
                continue
            answer = endpoint.ask(image)
            if not (answer.reached or scores.cases):
                raise InputError(f"nobody answers at {endpoint.url}; start the endpoint, or check its address")
            if answer.mask is None:
                scores.failed[reference.name] = answer.problem
            scores.add(score_case(reference.name, true, answer.mask, seconds=answer.seconds), true, answer.mask, image)
            advance()
    return scores


def _read_case(reference: Reference) -> tuple[GreyImage, BinaryMask]:
    """An image and its mask."""
    if reference.image is None:
        raise InputError("there is no image to send")
    image = read_grey(reference.image)
    true = reference.tumour(image.shape)
    if true.shape != image.shape:
        raise InputError(f"the shapes differ: image {image.shape}, reference {true.shape}")
    return image, true
