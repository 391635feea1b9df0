"""Giving memory back to the system: the C library keeps what large images needed, hundreds of MB, for itself."""

import ctypes
import sys
from collections.abc import Callable
from functools import cache

LARGE = 500_000  # pixels; images of the championship have fewer, and trimming costs them time


def give_back(pixels: int) -> None:
    """Return free memory to the system after a large image; only glibc needs to be asked, elsewhere nothing happens."""
    if pixels > LARGE and (trim := _malloc_trim()):
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim
