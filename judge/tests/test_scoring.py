"""From a reply to its score, exactly; see `test_sender.py` for the faults of real endpoints."""

import numpy as np
import pytest
from judge_endpoints import mask_of, png, reply

from mipjudge.attempt_queue import Scored
from mipjudge.scoring import score_reply
from mipjudge.sender import Reply
from mipseg.io.mask_png import decode_binary

TUMOUR = np.zeros((90, 70), bool)
TUMOUR[10:20, 30:40] = True
SHIFTED = np.roll(TUMOUR, 4, axis=1)  # Dice 2 x 60 / 200


@pytest.mark.parametrize("keep_mask", [True, False])
def test_a_mask_scores_its_dice_and_is_kept_where_it_is_wanted(keep_mask: bool) -> None:
    got = Reply(0.25, status=200, content=reply(png(mask_of(SHIFTED))))
    scored = score_reply(TUMOUR, got, keep_mask=keep_mask)
    assert (scored.score, scored.reason, scored.detail, scored.seconds) == (0.6, None, None, 0.25)
    assert (scored.mask is not None) is keep_mask
    if scored.mask is not None:
        np.testing.assert_array_equal(decode_binary(scored.mask), SHIFTED)


def test_a_fault_keeps_its_reason_its_detail_and_its_time() -> None:
    timeout = Reply(10.0, "timeout", detail="after 10 s")
    assert score_reply(TUMOUR, timeout, keep_mask=True) == Scored(0.0, "timeout", 10.0, detail="after 10 s")
    small = Reply(0.5, status=200, content=reply(png(mask_of(TUMOUR[:-1]))))
    scored = score_reply(TUMOUR, small, keep_mask=True)
    assert (scored.score, scored.reason, scored.seconds, scored.mask) == (0.0, "invalid-mask", 0.5, None)
    assert scored.detail
