"""Every case has exactly one outcome, whatever happens to the processes."""

import os
from pathlib import Path

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
