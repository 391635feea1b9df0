"""From an endpoint's reply to the score of its image."""

import base64
import io
import json
from dataclasses import dataclass

import numpy as np
from PIL import Image as PillowImage

from mipjudge.attempt_queue import Scored
from mipjudge.sender import Reply
from mipseg.checks import validate_segmentation
from mipseg.errors import InputError, SegmentationError
from mipseg.io.codec import MAX_PIXELS, decode_base64, decode_image
from mipseg.metrics import dice_score
from mipseg.types import BinaryMask, Mask

MAX_PARTS = 100_000  # of a reply's JSON: a few megabytes of `{},{},…` would take a hundred of memory


@dataclass(frozen=True)
class Judged:
    """A reply that was looked at.

    Attributes:
        reason: code of the fault; None for a sound mask.
        detail: the same for people.
        mask: (H, W, 3) uint8, 0 and 255.
        img: the mask as it came, base64.
    """

    reason: str | None
    detail: str = ""
    mask: Mask | None = None
    img: str = ""


def request_body(image: bytes) -> bytes:
    """What the endpoint is sent for an image's PNG file: `{"img": "<base64>"}`."""
    return b'{"img":"' + base64.b64encode(image) + b'"}'


def judge_reply(shape: tuple[int, ...], content: bytes) -> Judged:
    """Check a reply as the championship does: a PNG of the image's size, RGB, 0 and 255, three equal channels.

    Args:
        shape: height and width of the image.
        content: the reply's body.
    """
    if sum(content.count(sign) for sign in b"[{,") > MAX_PARTS:
        return Judged("not-json", "the reply's JSON has too many parts")
    try:
        answer = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        return Judged("not-json", "the reply is not JSON in UTF-8")
    img = answer.get("img") if isinstance(answer, dict) else None
    if not isinstance(img, str):
        return Judged("no-img", 'the reply must be a JSON object with "img"')
    try:
        data = decode_base64(img)
        # The guarded decoder first: it bounds what the file can cost. Then the pixels as they are, not turned to grey.
        decode_image(data, min(MAX_PIXELS, 4 * shape[0] * shape[1]))
        with PillowImage.open(io.BytesIO(data), formats=["PNG"]) as image:
            mask = np.asarray(image)
        validate_segmentation(np.broadcast_to(np.uint8(0), (*shape, 3)), mask)
    except InputError as error:
        return Judged(error.code, str(error)[:300])
    except SegmentationError as error:
        return Judged("invalid-mask", str(error)[:300])
    except (OSError, ValueError, SyntaxError):  # a JPEG
        return Judged("invalid-image", "the reply's img is not a PNG")
    return Judged(None, mask=mask, img=img)


def score_reply(reference: BinaryMask, reply: Reply, *, keep_mask: bool) -> Scored:
    """Score a reply; a fault scores 0 and is named.

    Args:
        reference: (H, W), where there is tumour.
        reply: of the endpoint.
        keep_mask: whether the mask goes into the result.
    """
    if reply.reason is not None:
        return Scored(0.0, reply.reason, reply.seconds)
    judged = judge_reply(reference.shape, reply.content)
    if judged.mask is None:
        return Scored(0.0, judged.reason, reply.seconds)
    found = judged.mask[:, :, 0] != 0
    return Scored(dice_score(reference, found), None, reply.seconds, _pack(found) if keep_mask else None)


def unpack_mask(data: bytes) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Read a mask that `score_reply` kept."""
    with PillowImage.open(io.BytesIO(data), formats=["PNG"]) as image:
        return np.asarray(image, dtype=np.bool_)


def _pack(mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> bytes:
    buffer = io.BytesIO()
    PillowImage.fromarray(mask).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
