"""Corrections by clicks: fit their rule by cross-validation over patients, measure it, and write it for the page.

`uv run --all-packages python -m bench.clicks MAPS.npz... [--others MAPS.npz...] [--write]` needs Node, PyTorch, and the
out-of-fold probabilities of cross-validated networks: for each patient's id its (H, W) map. The mean of the networks is
judged; maps of single networks, which saw other folds too, make the copies that a rule learns from more varied.

A simulated reader follows the protocol of autoPET IV: each click is at the centre (farthest from the edge) of the
largest error, false negatives and false positives alike, at most ten. Two others miss the centre: one by up to
3 pixels, one clicks anywhere in the error. A rule learns from all three. A patient's clicks are judged by a rule that
was fitted to the other folds, on networks that did not see the patient either.
"""

import argparse
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from bench.clicks_cases import Patient, read_patients, write_copy, write_patient
from bench.clicks_fit import Rule, fit_rule, read_examples, write_rule

from mipseg.evaluation.summary import interval

HERE = Path(__file__).parent
RULE = HERE.parent / "shared/src/mipserve/static/viewer/correct/rule.js"
FOLDS = json.loads((HERE.parent / "segmentation/src/mipseg/training/folds.json").read_text())
ROUNDS = 3  # of fitting; from the second on, clicks follow those of the rule so far, on copies of the patients too
ANYWHERE = 1000  # pixels: farther than any pixel of an error is from its centre
READERS = {"at the centre": 0, "up to 3 pixels off": 3, "anywhere in the error": ANYWHERE}  # miss it by so many pixels
SHOWN = (0, 1, 2, 3, 5, 10)  # clicks


def main() -> None:
    """Fit, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("maps", nargs="+", type=Path, help="out-of-fold probabilities (.npz)")
    parser.add_argument("--others", nargs="*", default=[], type=Path, help="those of single networks, to learn from")
    parser.add_argument("--write", action="store_true", help=f"fit to all patients and write {RULE.name}")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        run(Path(folder), read_patients(arguments.maps, arguments.others, FOLDS), write=arguments.write)


def run(folder: Path, patients: Sequence[Patient], *, write: bool) -> None:
    """Fit and measure in a folder for files that pass between Python and Node."""
    cases = [write_patient(folder, patient) | {"miss": 0} for patient in patients]
    folds = sorted({patient.fold for patient in patients})
    rules: dict[int, Rule] = {}
    files = []
    for number in range(ROUNDS):
        drawn = write_copies(folder, patients, number) if number else []
        file = folder / f"examples_{number}.bin"
        answer = simulate(folder, cases + drawn, rules, examples=file)
        show(f"round {number}", cases, answer)
        files.append((file, answer["index"]))
        examples = read_examples(files)
        rules = {fold: fit_rule(examples, examples.fold != fold) for fold in folds}
    for reader, miss in READERS.items():
        show(f"clicks {reader}", cases, simulate(folder, [case | {"miss": miss} for case in cases], rules))
    show("clicks at the centre, outlines dragged", cases, simulate(folder, cases, rules, drag=True))
    if write:
        write_rule(fit_rule(examples, np.ones(len(examples.fold), bool)), RULE)


def write_copies(folder: Path, patients: Sequence[Patient], seed: int) -> list[dict[str, Any]]:
    """Write altered copies of all patients, one for each reader."""
    draw = np.random.default_rng(seed)
    return [
        write_copy(folder, f"{patient.id}_{n}", patient, draw) | {"miss": miss}
        for patient in patients
        for n, miss in enumerate(READERS.values())
    ]


def simulate(
    folder: Path,
    cases: Sequence[dict[str, Any]],
    rules: dict[int, Rule],
    *,
    examples: Path | None = None,
    drag: bool = False,
) -> dict[str, Any]:
    """Click: the Dice of each case after each click, milliseconds of each correction, and the index of the examples."""
    named = [case | {"rule": rules.get(case["fold"])} for case in cases]
    (folder / "cases.json").write_text(json.dumps(named))
    node = shutil.which("node") or "node"
    options = (["--examples", str(examples)] if examples else []) + (["--drag"] if drag else [])
    command = [node, str(HERE / "clicks.mjs"), str(folder), *options]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)  # noqa: S603 # our own
    return answer


def show(name: str, cases: Sequence[dict[str, Any]], answer: dict[str, Any]) -> None:
    """Print a row of Markdown: mean Dice and its 95 % bootstrap interval after so many clicks."""
    dice = np.array([answer["dice"][case["id"]] for case in cases])
    columns = []
    for clicks in SHOWN:
        found = interval(dice[:, clicks].tolist())
        columns.append(f"{found.mean:.3f} ({found.low:.3f} to {found.high:.3f})")
    times = answer["milliseconds"]
    speed = f"{np.median(times):.1f}, {np.percentile(times, 99):.1f}" if times else "-"
    print(f"| {name} | {len(dice)} | {' | '.join(columns)} | {speed} |", flush=True)


if __name__ == "__main__":
    main()
