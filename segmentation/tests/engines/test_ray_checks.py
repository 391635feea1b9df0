"""What is refused before a cluster works, without one."""

from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import pytest

from mipseg.engines.cases import Case
from mipseg.engines.plan import Options, Plan, provenance
from mipseg.engines.ray_cluster import connected, segment_on_node, segmenting_cluster
from mipseg.errors import ClusterError
from mipseg.settings import Settings

WITH_RAY = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: uv sync --extra ray")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    settings = Settings()
    return Plan(tmp_path, settings, Options(), provenance(settings), datetime.now(UTC))


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    (tmp_path / "mark").touch()
    return tmp_path / "mark"


def test_node_that_fits_works(plan: Plan, mark: Path, tmp_path: Path) -> None:
    assert "No such file" in segment_on_node(Case("a", tmp_path / "missing.png"), plan, mark).error


def test_node_that_does_not_share_the_output_folder(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=f"does not share the output folder {tmp_path}$"):
        segment_on_node(Case("a", tmp_path / "a.png"), plan, tmp_path / "mark")


def test_output_folder_that_cannot_be_written(plan: Plan, tmp_path: Path) -> None:
    wanted = replace(plan, out=tmp_path / "missing")
    with (
        pytest.raises(ClusterError, match=r"into the output folder .*missing: No such file or directory"),
        segmenting_cluster(None, wanted, 0),
    ):
        pass


@pytest.mark.parametrize(
    "other",
    [{"version": "0.0.1"}, {"model_sha256": "0"}, {"runtime": "openvino bfloat17"}],
    ids=min,
)
def test_node_that_computes_otherwise(plan: Plan, mark: Path, tmp_path: Path, other: dict[str, str]) -> None:
    wanted = replace(plan, provenance=replace(plan.provenance, **other))
    with pytest.raises(ClusterError, match=f"computes with .*, not with .*{next(iter(other.values()))}"):
        segment_on_node(Case("a", tmp_path / "a.png"), wanted, mark)


@WITH_RAY
@pytest.mark.parametrize("address", ["head", "ray://head:10001", ":6379", "127.0.0.1:port"])
def test_address_of_another_form(address: str) -> None:
    with pytest.raises(ClusterError, match=f"the Ray cluster {address}: must be host:port or auto"), connected(address):
        pass


@WITH_RAY
def test_address_where_nobody_listens() -> None:
    with (
        pytest.raises(ClusterError, match=r"the Ray cluster 127\.0\.0\.1:9: .*Connection refused"),
        connected("127.0.0.1:9"),
    ):
        pass
