"""The CPU quota of control groups, in folders that look like the system's."""

import os
from pathlib import Path

import pytest

from mipseg.model import cores
from mipseg.model.cores import usable_cores


@pytest.fixture(autouse=True)
def _sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)


def groups(folder: Path, line: str, files: dict[str, str]) -> tuple[Path, Path]:
    """A mount with these files, and the file that says which group the process is in."""
    for name, content in files.items():
        file = folder / "mount" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content + "\n")
    (folder / "cgroup").write_text(line + "\n")
    return folder / "mount", folder / "cgroup"


@pytest.mark.hazard("H18")
@pytest.mark.parametrize(("content", "wanted"), [
    ("200000 100000", 2), ("150000 100000", 2), ("50000 100000", 1), ("max 100000", 16), ("6400000 100000", 16),
    ("nonsense", 16), ("", 16), ("100000 0", 16),
])  # fmt: skip
def test_quota_of_version_2(tmp_path: Path, content: str, wanted: int) -> None:
    assert usable_cores(*groups(tmp_path, "0::/", {"cpu.max": content})) == wanted


@pytest.mark.hazard("H18")
@pytest.mark.parametrize(("quota", "wanted"), [("300000", 3), ("-1", 16), ("1000", 1), ("x", 16)])
def test_quota_of_version_1(tmp_path: Path, quota: str, wanted: int) -> None:
    files = {"cpu,cpuacct/cpu.cfs_quota_us": quota, "cpu,cpuacct/cpu.cfs_period_us": "100000"}
    line = "5:memory:/\n3:cpu,cpuacct:/\n2:cpuset:/"
    assert usable_cores(*groups(tmp_path, line, files)) == wanted


def test_version_1_where_the_controller_s_folder_is_called_cpu(tmp_path: Path) -> None:
    files = {"cpu/a/cpu.cfs_quota_us": "400000", "cpu/a/cpu.cfs_period_us": "100000"}
    assert usable_cores(*groups(tmp_path, "3:cpu,cpuacct:/a", files)) == 4


def test_the_smallest_quota_of_the_groups_around_counts(tmp_path: Path) -> None:
    files = {"a/b/cpu.max": "800000 100000", "a/cpu.max": "300000 100000", "c/cpu.max": "100000 100000"}
    assert usable_cores(*groups(tmp_path, "0::/a/b", files)) == 3


def test_in_a_container_whose_group_is_named_from_outside(tmp_path: Path) -> None:
    files = {"cpu.max": "500000 100000"}
    assert usable_cores(*groups(tmp_path, "0::/docker/0123", files)) == 5


def test_without_control_groups_affinity_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable_cores(tmp_path, tmp_path / "none") == 16
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores(tmp_path, tmp_path / "none") == 1


def test_here() -> None:
    assert 1 <= usable_cores() <= 16
    assert cores.CGROUPS.is_absolute()
