"""Archives on a real cluster of two nodes, one of which is killed under load."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from mipseg.engines.ray_cluster import TRIES, connected, run_cases
from mipseg.io.write import write_png
from tests.conftest import MakePhantom
from tests.engines.work import always_die, die_once, lost_file, wait_for_go
from tests.io.pet_files import AFFINE, make_slices, write_slices

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: uv sync --extra ray"),
]
SETTINGS = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else Ray takes 127.0.0.1 for the machine's outer address
    "RAY_raylet_start_wait_time_s": "120",  # for busy machines
}
ENVIRONMENT = {**os.environ, **SETTINGS, "SOURCE_DATE_EPOCH": "1767225600"}
IMAGES = 8


class Nodes:
    """The cluster of `ray_nodes`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.address = self._answer()
        assert self.address, "the cluster did not start"

    def tell(self, command: str) -> None:
        """`kill` or `add`; returns when that is done."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        assert self._answer() == "done"

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    os.environ |= SETTINGS
    command = [sys.executable, "-m", "tests.engines.ray_nodes"]
    own = {**ENVIRONMENT, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, env=own, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Nodes(process)
        process.communicate()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, phantom: MakePhantom) -> Path:
    """Phantom images, a DICOM series and a broken file."""
    folder = tmp_path_factory.mktemp("archive")
    (folder / "images").mkdir()
    for seed in range(IMAGES):
        write_png(folder / "images" / f"{seed}.png", phantom(seed, height=426).mip)
    (folder / "images" / "broken.png").write_text("no image")
    voxels = np.full((20, 24, 28), 1000, np.int16)
    voxels[12:16, 4:8, 20:24] = 15000
    write_slices(folder / "series", make_slices(voxels, AFFINE * [4, 4, 4, 1]))
    return folder


def _segment(*arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "mipseg.cli.main", "segment", *(str(argument) for argument in arguments)]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def _outcomes(stdout: str) -> dict[str, dict[str, Any]]:
    """By case; each has exactly one."""
    lines = [json.loads(line) for line in stdout.splitlines()]
    outcomes = {line["case"]: line for line in lines}
    assert len(outcomes) == len(lines)
    return outcomes


def test_archive_though_a_node_is_killed_and_then_again(nodes: Nodes, archive: Path, tmp_path: Path) -> None:
    """The same files byte for byte as the local engine's; the second run has nothing to do."""
    with _segment(archive, "-o", tmp_path / "local") as local:
        wanted, _ = local.communicate()
    arguments = archive, "-o", tmp_path / "ray", "--engine", "ray", "--address", nodes.address
    with _segment(*arguments) as run:
        assert run.stdout is not None
        first = [run.stdout.readline() for _ in range(3)]
        nodes.tell("kill")
        others, said = run.communicate()
    nodes.tell("add")
    outcomes, expected = _outcomes("".join(first) + others), _outcomes(wanted)
    assert {name: outcome["status"] for name, outcome in outcomes.items()} == {
        **{f"images_{seed}": "done" for seed in range(IMAGES)}, "images_broken": "failed", "series": "done",
    }  # fmt: skip
    assert {name: outcome["mask_sha256"] for name, outcome in outcomes.items()} == {
        name: outcome["mask_sha256"] for name, outcome in expected.items()
    }
    assert (run.returncode, said.splitlines()[-1]) == (1, f"error: 1 of {IMAGES + 2} cases failed")
    assert _files(tmp_path / "ray") == _files(tmp_path / "local")
    with _segment(*arguments) as again:
        rest, _ = again.communicate()
    assert {outcome["status"] for outcome in _outcomes(rest).values()} == {"skipped", "failed"}


def test_case_in_the_middle_when_its_node_dies_is_tried_elsewhere(nodes: Nodes, tmp_path: Path) -> None:
    files = [tmp_path / name for name in "ab"]

    def kill() -> None:
        _wait_for(lambda: all(file.exists() for file in files))
        nodes.tell("kill")
        nodes.tell("add")
        _wait_for(lambda: _tries(files) == [1, 2])  # the killed node's process may live on for a moment
        (tmp_path / "go").touch()

    with ThreadPoolExecutor(1) as pool, connected(nodes.address):
        killed = pool.submit(kill)
        assert sorted(run_cases(wait_for_go, files, 2, lost_file)) == ["a", "b"]
        killed.result()
    assert _tries(files) == [1, 2]


def test_case_whose_process_dies_each_time_is_lost_and_no_other(nodes: Nodes, tmp_path: Path) -> None:
    bad, good, once = (tmp_path / name for name in ("bad", "good", "once"))
    with connected(nodes.address):
        assert sorted(run_cases(always_die, [bad, good], 2, lost_file)) == ["good", "lost bad"]
        assert list(run_cases(die_once, [once], 2, lost_file)) == ["once"]
    assert _tries([bad, good]) == [1, TRIES]


def test_own_cluster_listens_on_loopback_only(archive: Path, tmp_path: Path) -> None:
    with _segment(archive / "images" / "0.png", "-o", tmp_path / "out", "--engine", "ray") as run:
        assert run.stdout is not None
        line = json.loads(run.stdout.readline())  # Ray's processes end only after it
        listening = [
            connection.laddr.ip.removeprefix("::ffff:")
            for process in psutil.Process(run.pid).children(recursive=True)
            for connection in process.net_connections()
            if connection.status == psutil.CONN_LISTEN
        ]
        run.communicate()
    assert (run.returncode, line["status"]) == (0, "done")
    assert set(listening) == {"127.0.0.1"}


def _tries(files: list[Path]) -> list[int]:
    return sorted(len(file.read_text().splitlines()) for file in files)


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
