"""What memory a process takes (Linux only)."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def growth_below(megabytes: float, process: int | str = "self") -> Iterator[None]:
    """Assert that a process' peak of resident memory rises less than this inside of the block.

    Args:
        megabytes: the bound, MiB.
        process: its id; this one's, if not given.
    """
    if sys.platform != "linux":
        yield
        pytest.skip("MEMORY IS MEASURED ON LINUX ALONE: its bound was not tried")
    before = memory_mb("VmRSS", process)
    Path(f"/proc/{process}/clear_refs").write_text("5")  # the peak is now the present
    yield
    grown = memory_mb("VmHWM", process) - before
    assert grown < megabytes, f"resident memory grew by {grown:.1f} MB"


def memory_mb(name: str, process: int | str = "self") -> float:
    """A process' memory in MiB: `VmRSS`, what is resident, or `VmHWM`, its peak."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
    assert found
    return int(found[1]) / 1024
