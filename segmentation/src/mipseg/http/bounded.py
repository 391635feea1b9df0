"""An answer over HTTP, read within limits that its sender can't stretch."""

import time
from collections.abc import Iterable

import httpx

from mipseg.errors import MipsegError


def read_bounded(parts: Iterable[bytes], max_bytes: int, end: float, too_large: MipsegError) -> bytes:
    """Join an answer's parts as they come.

    Args:
        parts: such as `response.iter_raw()`.
        max_bytes: the most that is read.
        end: until when, by `time.monotonic`; the library's own limit starts anew with every byte.
        too_large: what is raised where there is more.

    Raises:
        httpx.ReadTimeout: the time is over.
    """
    content = bytearray()
    for part in parts:
        content += part
        if len(content) > max_bytes:
            raise too_large
        if time.monotonic() > end:
            raise httpx.ReadTimeout("")
    return bytes(content)
