"""An endpoint's reply, read as the championship's judge reads it: for the judge and for all others who ask one."""

import base64
from dataclasses import dataclass

import numpy as np

from mipseg.checks import validate_segmentation
from mipseg.constants import MAX_PIXELS
from mipseg.errors import Base64Error, InputError, SegmentationError
from mipseg.http.json_body import REPLY_PARTS, JsonError, read_json
from mipseg.io.codec import decode_base64
from mipseg.io.mask_png import decode_rgb
from mipseg.types import Mask

MAX_DETAIL = 300


@dataclass(frozen=True)
class Judged:
    """A reply that was looked at.

    Attributes:
        reason: code of the fault; None for a sound mask.
        detail: the same for people.
        mask: (H, W, 3) uint8, 0 and 255.
        img: what came as the mask, base64; empty if nothing did.
    """

    reason: str | None
    detail: str = ""
    mask: Mask | None = None
    img: str = ""


def request_body(image: bytes) -> bytes:
    """What the endpoint is sent for an image's PNG file: `{"img": "<base64>"}`."""
    return b'{"img":"' + base64.b64encode(image) + b'"}'


def judge_reply(shape: tuple[int, ...], content: bytes) -> Judged:
    """Check a reply as the championship does: a PNG of the image's size, of 0 and 255 once it is RGB.

    Args:
        shape: height and width of the image.
        content: the reply's body.
    """
    try:
        answer = read_json(content, REPLY_PARTS)
    except JsonError as error:
        return Judged("not-json", f"the reply: {error}")
    img = answer.get("img") if isinstance(answer, dict) else None
    if not isinstance(img, str):
        return Judged("no-img", 'the reply must be a JSON object with "img"')
    return _judge_mask(shape, img)


def _judge_mask(shape: tuple[int, ...], img: str) -> Judged:
    try:
        if img[:5].lower() == "data:":
            raise Base64Error("img is a data: URL; answer with what follows its comma")
        mask = decode_rgb(decode_base64(img), min(MAX_PIXELS, 4 * shape[0] * shape[1]))
        validate_segmentation(np.broadcast_to(np.uint8(0), (*shape, 3)), mask)
    except InputError as error:
        return Judged(error.code, str(error)[:MAX_DETAIL], img=img)
    except SegmentationError as error:
        return Judged("invalid-mask", str(error)[:MAX_DETAIL], img=img)
    return Judged(None, mask=mask, img=img)
