"""What an archive costs on a Ray cluster of one and of two nodes, and what the driver can take: tables in Markdown.

`uv run --all-packages --extra ray python -m bench.ray_bench [images] [volumes] [listed cases]`

CPU time is measured, not seconds on the clock, so that another program on the machine changes little.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import psutil

from mipseg.engines.cases import RECORD, Case, find_cases
from mipseg.engines.plan import Options, Outcome, Plan, provenance
from mipseg.engines.ray_cluster import IN_WORK, connected, run_cases, segmenting_cluster
from mipseg.engines.segment_case import failed
from mipseg.engines.table import write_table
from mipseg.io.write import write_png
from mipseg.phantom import SPACING_MM, make_phantom, make_volume_phantom
from mipseg.settings import Settings

os.environ |= {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else the working directory is copied
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # loopback only
    "RAY_raylet_start_wait_time_s": "60",  # for busy machines
}
CASES_OF_A_FOLDER = 100


class Cpu(NamedTuple):
    """CPU seconds, of user and system.

    Attributes:
        workers: what works off the cases.
        services: Ray's own processes: of the head and of each node.
        driver: this process.
    """

    workers: float
    services: float
    driver: float


def main() -> None:
    """Measure and print."""
    images, volumes, listed = (int(text) for text in (*sys.argv[1:], "20", "4", "5000")[:3])
    with TemporaryDirectory() as folder:
        root = Path(folder)
        cases = {"images": [_write_image(root, seed) for seed in range(images + 2)]}
        cases["volumes"] = [_write_volume(root, seed) for seed in range(volumes + 2)]
        print("| 1000 | nodes | workers | Ray | driver | seconds on the clock |\n|---|---|---|---|---|---|", flush=True)
        for nodes in (2, 1):
            with cluster(nodes) as address:
                for kind, some in cases.items():
                    measure(address, some, f"{kind} (measured: {len(some) - 2}) | {nodes}", root / f"{kind}-{nodes}")
                if nodes == 1:
                    measure_driver(address, root, listed)


def measure(address: str, cases: list[Case], name: str, out: Path) -> None:
    """CPU of all but the first two cases, which load the models."""
    out.mkdir()
    settings = Settings()
    plan = Plan(out, settings, Options(), provenance(settings), datetime.now(UTC))
    with segmenting_cluster(address, plan, 0) as run:
        _all_done(run(cases[:2]))
        before, start = cpu_seconds(), time.perf_counter()
        _all_done(run(cases[2:]))
        seconds, after = time.perf_counter() - start, cpu_seconds()
    spent = *(late - early for early, late in zip(before, after, strict=True)), seconds
    print(f"| {name} | {' | '.join(f'{1000 * part / (len(cases) - 2):.0f}' for part in spent)} |", flush=True)


def measure_driver(address: str, root: Path, count: int) -> None:
    """List, hand out and tabulate cases that cost nothing."""
    archive, out = root / "listed", root / "table"
    content = (root / "images" / "0.png").read_bytes()[:600]
    for number in range(count):
        file = archive / str(number // CASES_OF_A_FOLDER) / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    record = next(root.glob(f"volumes-1/*/{RECORD}")).read_text("utf-8")
    for number in range(count // 10):
        (out / str(number)).mkdir(parents=True)
        (out / str(number) / RECORD).write_text(record, "utf-8")
    print("\n| step of the driver | cases | CPU s | cases/s on the clock | peak memory, MiB |\n|---|---|---|---|---|")
    with _step("list", count):
        cases = find_cases([archive], out)
    with connected(address), _step("hand out and collect", count):
        outcomes = list(run_cases(_nothing, cases, IN_WORK, _lost))
    with _step("print", count):
        size = sum(len(json.dumps(asdict(outcome))) for outcome in outcomes)
    with _step("tabulate", count // 10):
        write_table(out, [str(number) for number in range(count // 10)])
    print(f"\n{size / count:.0f} bytes of JSON a case")


@contextmanager
def cluster(nodes: int) -> Iterator[str]:
    """A cluster on this machine whose nodes have one core each; gives its address."""
    from ray.cluster_utils import Cluster  # noqa: PLC0415 # an extra

    node: dict[str, Any] = {"node_ip_address": "127.0.0.1", "num_cpus": 1, "include_dashboard": False}
    found = Cluster(initialize_head=True, head_node_args=node)
    for _ in range(nodes - 1):
        found.add_node(**node)
    try:
        yield found.address
    finally:
        found.shutdown()


def cpu_seconds() -> Cpu:
    """Of this process and of those below it, so far."""
    workers = services = 0.0
    for process in psutil.Process().children(recursive=True):
        times = process.cpu_times()
        if process.name().startswith("ray::") or "default_worker.py" in " ".join(process.cmdline()):
            workers += times.user + times.system
        else:
            services += times.user + times.system
    own = psutil.Process().cpu_times()
    return Cpu(workers, services, own.user + own.system)


@contextmanager
def _step(name: str, count: int) -> Iterator[None]:
    start, cpu = time.perf_counter(), time.process_time()
    yield
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"| {name} | {count} | {cpu:.1f} | {count / seconds:.0f} | {peak:.0f} |", flush=True)


def _write_image(root: Path, seed: int) -> Case:
    file = root / "images" / f"{seed}.png"
    file.parent.mkdir(exist_ok=True)
    write_png(file, make_phantom(seed).mip)
    return Case(str(seed), file)


def _write_volume(root: Path, seed: int) -> Case:
    """A phantom of a whole body as NIfTI, (X, Y, Z), RAS."""
    file = root / "volumes" / f"{seed}.nii.gz"
    file.parent.mkdir(exist_ok=True)
    suv = make_volume_phantom(seed, height=489).suv
    nib.save(nib.Nifti1Image(np.transpose(suv), np.diag([-SPACING_MM[2], -SPACING_MM[1], SPACING_MM[0], 1])), file)
    return Case(str(seed), file)


def _all_done(outcomes: Iterator[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.status != "done":
            raise SystemExit(f"{outcome.case}: {outcome.status} {outcome.error}")


def _nothing(case: Case) -> Outcome:
    return Outcome(case.name, str(case.path), "done", mask_sha256="0" * 64, files=("mask.png",))


def _lost(case: Case) -> Outcome:
    return failed(case, "lost")


if __name__ == "__main__":
    main()
