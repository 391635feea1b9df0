"""Work that the pool's tests send to other processes."""

import os
import signal
import time
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


def tell_and_wait(file: Path) -> str:
    """Writes the process's number into a file, then waits until it is ended."""
    partial = file.with_suffix(".partial")
    partial.write_text(str(os.getpid()))
    partial.rename(file)
    time.sleep(600)
    return file.name


def wait_for_go(file: Path) -> str:
    """Notes each try in a file, then waits until there is a file `go` beside it."""
    with file.open("a") as stream:
        stream.write("tried\n")
    while not (file.parent / "go").exists():
        time.sleep(0.02)
    return file.name


def always_die(file: Path) -> str:
    """Notes each try in a file and ends its process, unless the file is called `good`."""
    with file.open("a") as stream:
        stream.write("tried\n")
    if file.name != "good":
        os.kill(os.getpid(), signal.SIGKILL)
    return file.name
