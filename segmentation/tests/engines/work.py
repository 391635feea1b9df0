"""Work that the pool's tests send to other processes."""

import os
import signal
from pathlib import Path


def double_or_die(case: int) -> tuple[int, int]:
    """Twice a number; 13 ends its process."""
    if case == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    return case, 2 * case


def die_once(file: Path) -> str:
    """Ends its process the first time; the file remembers that."""
    if not file.exists():
        file.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return file.name


def lost(case: int) -> tuple[int, int]:
    return case, -1


def lost_file(file: Path) -> str:
    return f"lost {file.name}"
