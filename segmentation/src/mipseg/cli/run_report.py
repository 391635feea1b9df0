"""`--report`: what a run did, and with what."""

import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mipseg.engines.plan import Outcome, Plan
from mipseg.model.folder import read_config
from mipseg.model.segmenter import MODELS

_LIBRARIES = ("numpy", "scipy", "pillow", "onnxruntime", "openvino", "pydicom", "nibabel", "highdicom")


def run_report(plan: Plan, outcomes: Sequence[Outcome], seconds: float) -> dict[str, Any]:
    """Everything that is needed to tell why two runs differ, as plain values.

    Args:
        plan: what was asked for.
        outcomes: of all cases.
        seconds: of the whole run.
    """
    config, made_by = read_config(MODELS / plan.settings.model), plan.provenance
    return {
        "mipseg": made_by.version,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: found for name in _LIBRARIES if (found := _version(name))},
        "command": sys.argv[1:],
        "options": plan.key("")["options"],
        "model": {
            "name": config.name,
            "sha256": config.sha256,
            "files": {network.file: network.sha256 for network in config.networks},
        },
        "runtime": made_by.runtime,
        "started": plan.created.isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "cases": [asdict(outcome) for outcome in outcomes],
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
