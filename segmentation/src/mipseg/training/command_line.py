"""Train, judge and export a model.

fold           train without one fold (--fold) and predict it; goes on where it stopped
refit          train the networks that ship, on all cases
evaluate       write the cross-validated report
export         write the model folder that is shipped
run            all of the above, every fold, of the run and of those that it is averaged with
failure-cases  draw the patients of lowest cross-validated Dice
robustness     measure Dice on images that are changed in known ways

Exit codes: 0 done, 1 failed, 2 wrong use, 75 stopped before the end, by --minutes, Ctrl-C or SIGTERM: the same command
goes on.
"""

import argparse
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mipseg.errors import ConfigError, MipsegError
from mipseg.io.dataset import load_dataset
from mipseg.settings import Settings, project_root
from mipseg.training.config import CONFIGS, DEFAULT
from mipseg.training.evaluate import evaluate
from mipseg.training.export import export
from mipseg.training.failure_cases import draw_failure_cases
from mipseg.training.model_card import REPORT
from mipseg.training.robustness import measure_robustness
from mipseg.training.runs import Run, load_run
from mipseg.training.side_by_side import train_networks
from mipseg.training.split import Split, read_folds
from mipseg.training.train import Options, TimeIsUpError, pick_device
from mipseg.training.unlabelled import load_unlabelled

COMMANDS = "fold", "refit", "evaluate", "export", "run", "failure-cases", "robustness"
STOPPED = 75  # EX_TEMPFAIL: try again
OLD_NAMES = {"final": "refit", "worst": "failure-cases", "shifts": "robustness"}  # documented once; still understood


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mipseg.training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=COMMANDS, type=lambda name: OLD_NAMES.get(name, name))
    parser.add_argument(
        "config", type=Path, nargs="?", default=CONFIGS / f"{DEFAULT}.toml", help="TOML file of the experiment"
    )
    parser.add_argument("--fold", type=int, help="which fold `fold` leaves out, from 0")
    parser.add_argument("--count", type=int, default=10, help="how many patients `failure-cases` draws")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="where networks live")
    parser.add_argument("--jobs", type=int, default=1, help="networks to train at once, each in its own process")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of each; 0: they share all cores")
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="stop training after this time; the same command goes on"
    )
    return parser


def _networks(command: str, run: Run, split: Split, fold: int | None) -> list[tuple[Run, int | None]]:
    """The networks that a command trains, and the fold that each leaves out."""
    if command == "fold":
        return [(run, fold)]
    folds = {"refit": (None,), "run": (*range(split.count), None)}.get(command, ())
    return [(member, fold) for member in run.members for fold in folds]


def _work(command: str, run: Run, split: Split, options: Options, arguments: argparse.Namespace) -> None:
    if command == "fold" and not 0 <= arguments.fold < split.count:
        raise ConfigError(f"--fold {arguments.fold}: there are folds 0 to {split.count - 1}")
    networks = _networks(command, run, split, arguments.fold)
    if networks and not split.unlabelled and any(member.config.label_steps for member in run.members):
        sys.stderr.write("MIPSEG_UNLABELLED_DIR names no patients without masks: training goes on without\n")
    train_networks(networks, split, options, arguments.jobs, arguments.threads or None)
    if command in ("evaluate", "run"):
        _say_result(run, evaluate(run, split))
    if command in ("export", "run"):
        sys.stdout.write(f"{export(run, split)}: MIPSEG_MODEL={run.config.name} serves it\n")
    if command == "failure-cases":
        sys.stdout.write(draw_failure_cases(run, split, arguments.count))
    if command == "robustness":
        sys.stdout.write(measure_robustness(run, split, options.device))


def _say_result(run: Run, report: Mapping[str, Any]) -> None:
    dice, clean = report["dice"], report["controls_without_false_lesion"]
    low, high = dice["interval_95"]
    sys.stdout.write(
        f"mean Dice {dice['mean']:.3f} ({low:.3f} to {high:.3f}) over {report['patients']} patients, {clean:.0%} of "
        f"{report['controls']} controls clean; all measures: {run.folder / REPORT}\n"
    )


def main() -> None:
    """Command line: `python -m mipseg.training <command> <config.toml>`."""
    deadline_from, parser = time.monotonic(), _parser()
    arguments = parser.parse_args()
    if (arguments.command == "fold") != (arguments.fold is not None):
        parser.error("--fold goes with the command `fold`, and only with it")
    for name, least in (("jobs", 1), ("threads", 0), ("count", 1)):
        if (given := getattr(arguments, name)) < least:
            parser.error(f"--{name} {given}: it has to be at least {least}")
    if not arguments.minutes > 0:
        parser.error(f"--minutes {arguments.minutes:g}: it has to be more than 0")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        options = Options(pick_device(arguments.device), deadline_from + 60 * arguments.minutes)
        run, settings = load_run(arguments.config, project_root() / "runs"), Settings()
        cases = load_dataset(settings.data_dir)
        split = Split(cases, read_folds(cases, settings.data_dir), load_unlabelled(settings.unlabelled_dir))
        split.require_both_kinds()
        _work(arguments.command, run, split, options, arguments)
    except TimeIsUpError as stopped:
        parser.exit(STOPPED, f"{stopped}; the same command goes on\n")
    except KeyboardInterrupt:
        parser.exit(130, "interrupted; the same command goes on from the last checkpoints\n")
    except MipsegError as error:
        parser.exit(1, f"error: {error}\n")
    except OSError as error:  # a full disk, or a folder that may not be written
        parser.exit(1, f"error: {error.strerror or error}: {error.filename or arguments.config}\n")
