"""One case from disk to its folder of results; every engine calls this."""

import gc
import json
import logging
import time
import warnings as python_warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mipseg.engines.cases import RECORD, Case
from mipseg.engines.outputs import FILES, import_writers, write_image, write_volume
from mipseg.engines.plan import Outcome, Plan
from mipseg.errors import InputError, MipsegError, VolumeError
from mipseg.io.codec import decode_image
from mipseg.io.mask_png import decode_binary
from mipseg.io.read import Found, read_volume
from mipseg.io.volume import Volume
from mipseg.io.write import replaced_files, write_json
from mipseg.model.segmenter import load_segmenter
from mipseg.pipeline import analyze_file
from mipseg.report import PAGE, PDF
from mipseg.volume_pipeline import VolumeOptions, analyze_volume, correct_volume

EXTRA = "pip install 'mipseg[volume]'"


class Steps:
    """The steps of a case, `read`, `segment` and `write`.

    Attributes:
        seconds: of each step that has ended, and the `total`.

    Args:
        begins: is told each step that begins.
    """

    def __init__(self, begins: Callable[[str], None] = lambda step: None) -> None:
        self.seconds, self._begins = dict[str, float](), begins

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Time one of them."""
        self._begins(name)
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


def segment_case(case: Case, plan: Plan) -> Outcome:
    """Read, segment, measure and write one case; whatever goes wrong is in the outcome."""
    try:
        return segment_or_raise(case, plan, Steps())
    except Exception as error:  # one broken case must not end the others
        return failed(case, describe(error))


def describe(error: Exception) -> str:
    """Why a case failed."""
    if isinstance(error, MipsegError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return f"the package {error.name} is missing, which volumes need: {EXTRA}"
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    return f"unexpected {type(error).__name__}: {error}"


def failed(case: Case, problem: str) -> Outcome:
    """The outcome of a case that failed."""
    return Outcome(case.name, str(case.path), "failed", error=" ".join(problem.split()))


def segment_or_raise(case: Case, plan: Plan, steps: Steps) -> Outcome:
    """Read, segment, measure and write one case.

    Raises:
        MipsegError: it can't be used, or the model can't.
        Exception: nearly anything else on damaged files.
    """
    with python_warnings.catch_warnings(), _without_collector():
        python_warnings.simplefilter("ignore")  # of libraries, about headers; what matters is in the result
        logging.getLogger("highdicom").setLevel(logging.ERROR)
        return _segment(case, plan, steps)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Python's collector would look through the headers of all slices again and again, for a sixth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _segment(case: Case, plan: Plan, steps: Steps) -> Outcome:
    folder = plan.out / case.name
    with case.open() as found, steps.timed("total"):
        _check_place(case, folder)
        if (earlier := done_before(case, plan)) is not None:
            return earlier
        # A report of earlier results goes with them.
        with (
            ThreadPoolExecutor(1) as beside,
            replaced_files(folder, (*FILES, PAGE, PDF, RECORD), RECORD) as partial,
        ):
            key = beside.submit(lambda: plan.key(case.sha256()))
            written = _write(found, plan, partial, key, steps)
            record = {"case": case.name, **key.result(), **written}
            write_json(partial / RECORD, record)
    return _outcome(case, "done", record, steps.seconds)


def _write(found: Found, plan: Plan, folder: Path, key: Future[dict[str, Any]], steps: Steps) -> dict[str, Any]:
    """Analyse an input and write all files; returns the record's part on what was found."""
    segmenter, options = load_segmenter(plan.settings), plan.options
    if found.kind == "image":
        with steps.timed("segment"):
            result = analyze_file(found.files[0], segmenter)
        with steps.timed("write"):
            return write_image(folder, decode_image(found.files[0].read_bytes())[:, :, 0], result, options)
    with ThreadPoolExecutor(1) as beside:  # if one of these fails, the same error comes up below
        beside.submit(segmenter.load)  # takes as long as reading
        with steps.timed("read"):
            volume = _read(found, plan)
        # As long as analysing; beside reading, which is Python as well, each would wait for the other.
        beside.submit(import_writers, found.kind, options)
        with steps.timed("segment"):
            analysis = analyze_volume(volume, segmenter, VolumeOptions(options.rule, options.window_top))
            if plan.correction is not None:
                mask = decode_binary(plan.correction.read_bytes())
                analysis = correct_volume(volume, analysis, mask, options.rule)
    with steps.timed("write"):
        return write_volume(folder, volume, analysis, plan, json.dumps(key.result()))


def _read(found: Found, plan: Plan) -> Volume:
    options = plan.options
    if found.kind == "dicom":
        if options.unit is not None:
            raise InputError("the unit of DICOM files is in their headers; leave --unit out")
        from mipseg.io.dicom_volume import read_dicom_volume, select_series  # noqa: PLC0415 # an extra

        return read_dicom_volume(select_series(found.files, options.series), options.weight_kg, options.dose_bq)
    return read_volume(found.files[0], unit=options.unit, weight_kg=options.weight_kg, dose_bq=options.dose_bq)


def _check_place(case: Case, folder: Path) -> None:
    """Refuse to write into the input."""
    if case.path.is_dir() and case.path.resolve().is_relative_to(folder.resolve()):
        raise VolumeError(f"the results would go into the input, {folder}; choose another output folder")


def done_before(case: Case, plan: Plan) -> Outcome | None:
    """The outcome of an earlier run, if it is still good (input, model, options) and all its files are there."""
    folder = plan.out / case.name
    if plan.force or not (folder / RECORD).is_file():
        return None
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        good = all(record[name] == value for name, value in plan.key(case.sha256()).items())
        present = all((folder / name).is_file() for name in record["files"])
        return _outcome(case, "skipped", record, {}) if good and present else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _outcome(case: Case, status: Any, record: dict[str, Any], seconds: dict[str, float]) -> Outcome:
    return Outcome(
        case=case.name,
        input=str(case.path),
        status=status,
        lesions=record["patient"]["lesions"],
        has_tumour=record["has_tumour"],
        total_mtv_ml=record["patient"]["total_mtv_ml"],
        mask_sha256=record["mask_sha256"],
        files=(*record["files"], RECORD),
        warnings=tuple(record["warnings"]),
        seconds={name: round(value, 3) for name, value in seconds.items()},
    )
