"""Giving memory back to the system: the C library keeps what large images needed, hundreds of MB, for itself."""

import ctypes
import sys
from collections.abc import Callable
from functools import cache

_M_MMAP_THRESHOLD = -3  # of malloc.h
LARGE = 500_000  # pixels; images of the championship have fewer, and trimming costs them time


def give_back(pixels: int) -> None:
    """Return free memory to the system after a large image; only glibc needs to be asked, elsewhere nothing happens."""
    if pixels > LARGE and (trim := _malloc_trim()):
        trim(0)


def map_large_blocks() -> bool:
    """Let glibc take blocks above 1 MiB from the system and return each when it is freed; True if it agreed.

    By itself it raises that limit to 32 MiB and keeps holes of that size: 230 MiB more after ten shapes in a row. The
    price is an eighth of a prediction's time.
    """
    mallopt = _c_function("mallopt")
    return mallopt is not None and mallopt(_M_MMAP_THRESHOLD, 2**20) == 1


def _malloc_trim() -> Callable[..., int] | None:
    return _c_function("malloc_trim")


@cache
def _c_function(name: str) -> Callable[..., int] | None:
    if sys.platform != "linux":
        return None
    found: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    return found
