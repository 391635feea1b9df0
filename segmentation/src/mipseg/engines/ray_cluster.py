"""The engine of many machines: a Ray cluster, one task a case.

Tasks rather than Ray Data: its tasks are retried without end, so a run with a case that kills its process never ends,
and its rows come back in blocks, so cases that were done would be lost with their neighbours.
"""

import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from queue import SimpleQueue
from socket import create_connection, gethostname
from tempfile import mkstemp
from typing import Any, TypeVar

from mipseg.engines.cases import Case
from mipseg.engines.plan import Outcome, Plan, provenance
from mipseg.engines.segment_case import failed, segment_case
from mipseg.errors import ClusterError, MipsegError
from mipseg.model.cores import usable_cores

TRIES = 4  # of a case: nodes die innocently, but a case that kills its process each time has to end
LOST = f"the process or the machine that worked on it died {TRIES} times; it may have run out of memory"
IN_WORK = 2000  # cases that the cluster knows of at once: enough for as many cores, whoever joins later
_OBJECT_STORE_BYTES = 100 << 20  # cases and outcomes are small and never lie in it

Work = TypeVar("Work")
Result = TypeVar("Result")


@contextmanager
def segmenting_cluster(
    address: str | None, plan: Plan, in_work: int
) -> Iterator[Callable[[Sequence[Case]], Iterator[Outcome]]]:
    """What segments cases on a Ray cluster: in any order, with exactly one outcome for each.

    Args:
        address: see `connected`.
        plan: what to do; its output folder and the inputs have to be at the same place on every node.
        in_work: how many cases the cluster knows of at once; 0: enough for two thousand cores.

    Raises:
        ClusterError: there is no cluster, or a node that would give other results; ends the run.
        ModuleNotFoundError: Ray is not installed.
    """
    on_one_core = plan.settings.model_copy(update={"threads": 1})
    plan = replace(plan, out=plan.out.absolute(), settings=on_one_core)
    with _mark(plan.out) as mark, connected(address):
        work = partial(segment_on_node, plan=plan, mark=mark)

        def run(cases: Sequence[Case]) -> Iterator[Outcome]:
            return run_cases(work, map(_absolute, cases), in_work or IN_WORK, partial(failed, problem=LOST))

        yield run


@contextmanager
def _mark(out: Path) -> Iterator[Path]:
    """A file in the output folder that lasts as long as the run: nodes that do not see it do not share the folder."""
    try:
        handle, name = mkstemp(dir=out, prefix=".run-")
    except OSError as error:
        raise ClusterError(f"can't write into the output folder {out}: {error.strerror}") from error
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """A connection to a Ray cluster, or to one on this machine alone that ends with the context.

    As long as it lasts, `sys.stdout` is standard error: Ray prints there what it has to say of processes that died.

    Args:
        address: `host:port` of the cluster's head, or `auto` on one of its nodes; None: start one, which listens on
            loopback only.

    Raises:
        ClusterError: there is no cluster.
        ModuleNotFoundError: Ray is not installed.
    """
    # Read when Ray is imported. It would copy the working directory of `uv run` to every node.
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    own: dict[str, Any] = {}
    if address is None:
        # As on Windows and macOS: Ray listens on loopback only.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        own = {"num_cpus": usable_cores(), "object_store_memory": _OBJECT_STORE_BYTES, "include_dashboard": False}
    import ray  # noqa: PLC0415 # an extra

    try:
        if address not in (None, "auto"):
            _check_reachable(address)
        ray.init(address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
    except Exception as error:  # Ray has no common one for this
        reason = " ".join(str(error).split())
        raise ClusterError(f"can't connect to the Ray cluster {address or 'on this machine'}: {reason}") from error
    with redirect_stdout(sys.stderr):
        try:
            yield
        finally:
            ray.shutdown()


def _check_reachable(address: str) -> None:
    """Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise ValueError("must be host:port or auto")
    with create_connection((host, int(port)), timeout=10):
        pass


def run_cases(
    work: Callable[[Work], Result], cases: Iterable[Work], in_work: int, lost: Callable[[Work], Result]
) -> Iterator[Result]:
    """Do some work with every case on the connected cluster, in any order, with exactly one result for each.

    A case whose process or node dies is tried again after all others; one that dies `TRIES` times is lost.

    Args:
        work: a function that can be pickled and raises a MipsegError, if any, to end the run.
        cases: what it gets.
        in_work: how many cases the cluster knows of at once.
        lost: makes the result of a case that is lost.

    Raises:
        MipsegError: `work` raised it, or it can't be called on a node.
    """
    import ray  # noqa: PLC0415 # an extra
    from ray.exceptions import RayError, RayTaskError  # noqa: PLC0415 # an extra

    @ray.remote(num_cpus=1, max_retries=0)
    def do(case: Work) -> Result:
        return work(case)

    waiting = deque((case, 1) for case in cases)
    running: dict[Any, tuple[Any, Work, int]] = {}  # by future: the reference, which keeps the task, case and try
    ended: SimpleQueue[Any] = SimpleQueue()
    while waiting or running:
        while waiting and len(running) < in_work:
            case, tried = waiting.popleft()
            reference = do.remote(case)
            future = reference.future()
            running[future] = reference, case, tried
            future.add_done_callback(ended.put)
        future = ended.get()
        _, case, tried = running.pop(future)
        try:
            yield future.result()
        except RayTaskError as error:
            if isinstance(error.cause, MipsegError):
                raise error.cause from error
            raise ClusterError(f"a node of the cluster can't work: {str(error.cause).splitlines()[-1]}") from error
        except RayError:
            if tried < TRIES:
                waiting.append((case, tried + 1))
            else:
                yield lost(case)


def _absolute(case: Case) -> Case:
    """The same case for a process that works in another folder."""
    return replace(case, path=case.path.absolute(), dicom=tuple(file.absolute() for file in case.dicom))


def segment_on_node(case: Case, plan: Plan, mark: Path) -> Outcome:
    """`segment_case` on a node of the cluster.

    Args:
        case: what to segment.
        plan: what to do with it.
        mark: see `_mark`.

    Raises:
        ClusterError: this node would give other results, or put them elsewhere, than the one that began the run.
    """
    _check_node(plan, mark)
    return segment_case(case, plan)


@lru_cache(maxsize=1)
def _check_node(plan: Plan, mark: Path) -> None:
    """Once for each process."""
    if not mark.exists():
        raise ClusterError(f"the node {gethostname()} does not share the output folder {plan.out}")
    own = provenance(plan.settings)
    if own != plan.provenance:
        raise ClusterError(f"the node {gethostname()} computes with {own}, not with {plan.provenance}")
