"""Corrections by clicks: fit their rule by cross-validation over patients, measure it, and write it for the page.

`uv run --all-packages python -m bench.clicks MAPS.npz... [--write]` needs Node, PyTorch, and the out-of-fold
probabilities of cross-validated networks: for each patient's id its (H, W) map.

A simulated reader follows the protocol of autoPET IV: each click is at the centre (farthest from the edge) of the
largest error, false negatives and false positives alike, at most ten. A patient's clicks are judged by a rule that was
fitted to the other folds, on networks that did not see the patient either.
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
from bench.clicks_fit import Rule, fit_rule, read_examples, write_rule

from mipseg.evaluation import interval
from mipseg.io.dataset import Case, load_dataset
from mipseg.model.folder import read_config
from mipseg.model.postprocess import binarise
from mipseg.model.segmenter import MODELS
from mipseg.settings import Settings

HERE = Path(__file__).parent
RULE = HERE.parent / "shared/src/mipserve/static/viewer/correct/rule.js"
FOLDS = json.loads((HERE.parent / "segmentation/src/mipseg/training/folds.json").read_text())
ROUNDS = 3  # of fitting; from the second on the rule also sees the masks that the rule of the round before made
SHOWN = (0, 1, 2, 3, 5, 10)  # clicks


def main() -> None:
    """Fit, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("maps", nargs="+", type=Path, help="out-of-fold probabilities (.npz)")
    parser.add_argument("--write", action="store_true", help=f"fit to all patients and write {RULE.name}")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        run(Path(folder), arguments.maps, write=arguments.write)


def run(folder: Path, maps: Sequence[Path], *, write: bool) -> None:
    """Fit and measure in a folder for files that pass between Python and Node."""
    cases = write_cases(folder, maps)
    folds = deal(cases)
    rules: dict[str, Rule] | None = None
    files = []
    for number in range(ROUNDS):
        file = folder / f"examples_{number}.bin"
        answer = simulate(folder, cases, rules, examples=file)
        show(f"round {number}", answer)
        files.append((file, answer["index"]))
        examples = read_examples(files)
        left_out = np.array([folds[name] for name in examples.case])
        of_fold = {fold: fit_rule(examples, left_out != fold) for fold in sorted(set(folds.values()))}
        rules = {name: of_fold[fold] for name, fold in folds.items()}
    show("clicks", simulate(folder, cases, rules))
    show("clicks, outlines dragged", simulate(folder, cases, rules, drag=True))
    if write:
        write_rule(fit_rule(examples, np.ones(len(examples.case), bool)), RULE)


def deal(cases: Sequence[dict[str, Any]]) -> dict[str, int]:
    """The fold of each patient; of one fold alone, the patients are dealt anew."""
    folds = {case["id"]: FOLDS[case["id"]] for case in cases}
    if len(set(folds.values())) == 1:
        return {name: number % 4 for number, name in enumerate(folds)}
    return folds


def write_cases(folder: Path, maps: Sequence[Path]) -> list[dict[str, Any]]:
    """Write what Node reads; see `clicks.mjs`."""
    patients = {case.id: case for case in load_dataset(Settings().data_dir) if case.has_tumour}
    found = []
    for file in maps:
        with np.load(file) as arrays:
            for name in arrays.files:
                if name in patients:
                    found.append(_write_case(folder, patients[name], arrays[name]))
    return found


def _write_case(folder: Path, case: Case, values: np.ndarray[Any, Any]) -> dict[str, Any]:
    probability = (values / np.float32(255) if values.dtype == np.uint8 else values).astype(np.float32)
    model = read_config(MODELS / Settings().model)
    images = {
        "reference": case.mask,
        "intensity": 255 - case.image,
        "probability": np.rint(255 * probability),
        "mask": binarise(probability, model.temperature, model.min_peak),
    }
    for name, image in images.items():
        image.astype(np.uint8).tofile(folder / f"{case.id}.{name}")
    return {"id": case.id, "width": case.image.shape[1], "height": case.image.shape[0]}


def simulate(
    folder: Path,
    cases: Sequence[dict[str, Any]],
    rules: dict[str, Rule] | None,
    *,
    examples: Path | None = None,
    drag: bool = False,
) -> dict[str, Any]:
    """Click: the Dice of each case after each click, milliseconds of each correction, and the index of the examples."""
    named = [case | ({"rule": rules[case["id"]]} if rules else {}) for case in cases]
    (folder / "cases.json").write_text(json.dumps(named))
    node = shutil.which("node") or "node"
    options = (["--examples", str(examples)] if examples else []) + (["--drag"] if drag else [])
    command = [node, str(HERE / "clicks.mjs"), str(folder), *options]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)  # noqa: S603 # our own
    return answer


def show(name: str, answer: dict[str, Any]) -> None:
    """Print a row of Markdown: mean Dice and its 95 % bootstrap interval after so many clicks."""
    dice = np.array(list(answer["dice"].values()))
    columns = []
    for clicks in SHOWN:
        found = interval(dice[:, clicks].tolist())
        columns.append(f"{found.mean:.3f} ({found.low:.3f} to {found.high:.3f})")
    times = answer["milliseconds"]
    speed = f"{np.median(times):.1f}, {np.percentile(times, 99):.1f}" if times else "-"
    print(f"| {name} | {len(dice)} | {' | '.join(columns)} | {speed} |", flush=True)


if __name__ == "__main__":
    main()
