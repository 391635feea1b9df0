"""Every case has exactly one outcome, whatever happens to the processes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mipseg.engines.local import run_cases
from tests.engines.work import die_once, double_or_die, lost, lost_file


def test_single_case_is_done_in_this_process() -> None:
    assert list(run_cases(lambda case: (case, os.getpid()), [1], 2, lost)) == [(1, os.getpid())]


def test_no_case_has_no_outcome() -> None:
    assert list(run_cases(double_or_die, [], 2, lost)) == []


def test_the_case_whose_process_dies_is_lost_and_no_other() -> None:
    outcomes = list(run_cases(double_or_die, [1, 13, 2, 3, 4], 2, lost))
    assert sorted(outcomes) == [(1, 2), (2, 4), (3, 6), (4, 8), (13, -1)]


def test_a_process_that_dies_once_costs_no_case(tmp_path: Path) -> None:
    files = [tmp_path / name for name in "ab"]
    files[0].touch()
    assert sorted(run_cases(die_once, files, 2, lost_file)) == ["a", "b"]


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_processes_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """The parent dies while two cases wait; nothing is left of its pool."""
    started = tmp_path / "a", tmp_path / "b"
    script = (
        "from pathlib import Path\n"
        "from mipseg.engines.local import run_cases\n"
        "from tests.engines.work import lost_file, tell_and_wait\n"
        "if __name__ == '__main__':\n"
        f"    list(run_cases(tell_and_wait, [Path({str(started[0])!r}), Path({str(started[1])!r})], 2, lost_file))\n"
    )
    file = tmp_path / "parent.py"
    file.write_text(script)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, file], env=environment) as parent:
        _wait_for(lambda: all(path.exists() for path in started))
        parent.kill()
    pids = [int(path.read_text()) for path in started]
    _wait_for(lambda: not any(_runs(pid) for pid in pids))


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    try:
        return state.read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
