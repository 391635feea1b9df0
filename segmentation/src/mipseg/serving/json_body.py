"""JSON that a stranger sent, read at a cost that its size bounds; for requests here and replies at the judge."""

import json
from typing import Any

MAX_PARTS = 1000  # a request has a handful; 6 MiB of `[],[],…` would take 700 MB of memory and seconds


class JsonError(ValueError):
    """The bytes are not JSON in UTF-8, or JSON with too many parts; the text says which."""


def parse_json(body: bytes) -> Any:
    """Read JSON in UTF-8, with or without a byte order mark.

    Parts are counted before anything is made of them: every part but the first follows one of `[`, `{` and `,`.

    Raises:
        JsonError: not JSON, or more than 1,000 parts.
    """
    if sum(body.count(sign) for sign in b"[{,") > MAX_PARTS:
        raise JsonError(f"the JSON has more than {MAX_PARTS} parts")
    try:
        return json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise JsonError("not JSON in UTF-8") from None
