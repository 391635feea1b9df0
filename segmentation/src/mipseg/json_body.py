"""JSON that a stranger sent, in requests or replies, read at a cost that its size bounds."""

import json
from typing import Any

REQUEST_PARTS = 1000  # a request has a handful; 6 MiB of `[],[],…` would take 700 MB of memory and seconds
REPLY_PARTS = 100_000  # other services may say more than is asked for


class JsonError(ValueError):
    """The bytes are not JSON in UTF-8, or JSON with too many parts; the text says which."""


def read_json(body: bytes, max_parts: int) -> Any:
    """Read JSON in UTF-8, with or without a byte order mark.

    Parts are counted before anything is made of them: every part but the first follows one of `[`, `{` and `,`.

    Raises:
        JsonError: not JSON, or more than `max_parts`.
    """
    if sum(body.count(sign) for sign in b"[{,") > max_parts:
        raise JsonError(f"the JSON has more than {max_parts} parts")
    try:
        return json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise JsonError("not JSON in UTF-8") from None
