"""JSON that a stranger sent, in requests or replies, read at a cost that its size bounds."""

import json
from typing import Any

REQUEST_PARTS = 1000  # a request has a handful; 6 MiB of `[],[],…` would take 700 MB of memory and seconds
REPLY_PARTS = 100_000  # other services may say more than is asked for
_MAX_LINE = 300  # characters


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


def one_line(text: str) -> str:
    """A stranger's text as one printable line of bounded length."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _MAX_LINE else line[: _MAX_LINE - 1] + "…"


def describe_status(status: int, body: bytes) -> str:
    """The status of an answer that is an error, and what its body says of it, in one line.

    Args:
        status: of HTTP.
        body: JSON with a `detail`, as problem+json (RFC 9457) has; of anything else nothing is said.
    """
    try:
        found = read_json(body, REQUEST_PARTS)
    except JsonError:
        found = None
    detail = found.get("detail") if isinstance(found, dict) else None
    said = f"the answer's status is {status}"
    return one_line(f"{said}: {detail}") if isinstance(detail, str) and detail else said
