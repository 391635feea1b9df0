"""From an endpoint's reply to the score of its image."""

from mipjudge.attempt_queue import Scored
from mipjudge.sender import Reply
from mipseg.endpoint.reply import judge_reply
from mipseg.io.mask_png import encode_png
from mipseg.metrics import dice_score
from mipseg.types import BinaryMask


def score_reply(reference: BinaryMask, reply: Reply, *, keep_mask: bool) -> Scored:
    """Score a reply; a fault scores 0 and is named.

    Args:
        reference: (H, W), where there is tumour.
        reply: of the endpoint.
        keep_mask: whether the mask goes into the result.
    """
    if reply.reason is not None:
        return Scored(0.0, reply.reason, reply.seconds, detail=reply.detail)
    judged = judge_reply(reference.shape, reply.content)
    if judged.mask is None:
        return Scored(0.0, judged.reason, reply.seconds, detail=judged.detail)
    found = judged.mask[:, :, 0] != 0
    return Scored(dice_score(reference, found), None, reply.seconds, encode_png(found) if keep_mask else None)
