"""How many cores this process may use; the runtimes would count all of the machine's."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def usable_cores(mount: Path = CGROUPS, groups: Path = OWN_GROUPS) -> int:
    """Cores by affinity, or by the control groups' CPU quota where that is less; a part of a core counts as one.

    Args:
        mount: where control groups are mounted, of version 1 or 2.
        groups: the file that says which groups this process is in.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *(math.ceil(quota) for quota in _quotas(mount, groups))]))


def _quotas(mount: Path, groups: Path) -> Iterator[float]:
    """The cores that each group around this process is granted, where it says so."""
    for folder in _folders(mount, groups):
        try:
            if (file := folder / "cpu.max").is_file():  # version 2: "200000 100000" or "max 100000"
                granted, period = file.read_text().split()
            else:
                granted = (folder / "cpu.cfs_quota_us").read_text()  # version 1: -1 is no limit
                period = (folder / "cpu.cfs_period_us").read_text()
            if granted != "max" and int(granted) > 0:
                yield int(granted) / int(period)
        except (OSError, ValueError, ZeroDivisionError):
            continue


def _folders(mount: Path, groups: Path) -> Iterator[Path]:
    """The folders of this process' groups that may limit it: its own and those around, up to the mount."""
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        # In a container the mount is often the group itself, though the path still names it from outside.
        for root in (mount / controllers, mount / "cpu") if controllers else (mount,):
            own = root / path.lstrip("/")
            yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(root))
