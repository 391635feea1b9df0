"""Train, judge and export a model.

fold      train without one fold (--fold) and predict it; goes on where it stopped
evaluate  write the cross-validated report
final     train the networks that ship once more, on all cases
export    write the model folder that is shipped
run       all of the above in that order, every fold, after the runs that it starts from and is averaged with
worst     draw the patients of lowest cross-validated Dice
shifts    measure Dice on images that are changed in known ways
"""

import argparse
import sys
from pathlib import Path

import torch

from mipseg.errors import MipsegError
from mipseg.io.dataset import Case, load_dataset
from mipseg.settings import Settings, project_root
from mipseg.training.config import Config, load_config
from mipseg.training.evaluate import evaluate
from mipseg.training.export import export
from mipseg.training.failure_cases import draw_failure_cases
from mipseg.training.predict import predict_cases
from mipseg.training.refit import refit
from mipseg.training.robustness import measure_robustness
from mipseg.training.split import FOLDS, read_folds
from mipseg.training.train import Trainer, pick_device

CONFIGS = Path(__file__).parent / "configs"


def _train_fold(cases: list[Case], config: Config, fold: int, runs: Path) -> None:
    """Train without one fold, after the run that it starts from, and predict that fold."""
    folds = read_folds(cases)
    folder, device = runs / config.name / f"fold{fold}", pick_device()
    if (folder / "probabilities.npz").is_file():
        return
    start = None
    if config.init_from:
        _train_fold(cases, load_config(CONFIGS / f"{config.init_from}.toml"), fold, runs)
        start = runs / config.init_from / f"fold{fold}"
    network = Trainer([c for c in cases if folds[c.id] != fold], config, folder, device, start).run()
    predict_cases(network, [c for c in cases if folds[c.id] == fold], folder / "probabilities.npz", device)


def main() -> None:
    """Command line: `python -m mipseg.training <command> <config.toml>`."""
    parser = argparse.ArgumentParser(
        prog="python -m mipseg.training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["fold", "evaluate", "final", "export", "run", "worst", "shifts"])
    parser.add_argument(
        "config", type=Path, nargs="?", default=CONFIGS / "unet_v8.toml", help="TOML file of the experiment"
    )
    parser.add_argument("--fold", type=int, choices=range(FOLDS), help="which fold `fold` leaves out")
    parser.add_argument("--count", type=int, default=10, help="how many patients `worst` draws")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 takes every core")
    arguments = parser.parse_args()
    if (arguments.command == "fold") != (arguments.fold is not None):
        parser.error("--fold goes with the command `fold`, and only with it")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    runs = project_root() / "runs"
    try:
        config = load_config(arguments.config)
        cases = load_dataset(Settings().data_dir)
        if arguments.command == "fold":
            _train_fold(cases, config, arguments.fold, runs)
        if arguments.command == "run":
            for name in (*config.ensemble, config.name):
                for fold in range(FOLDS):
                    _train_fold(cases, load_config(CONFIGS / f"{name}.toml"), fold, runs)
        if arguments.command in ("evaluate", "run"):
            evaluate(cases, config, runs / config.name)
        if arguments.command in ("final", "run"):
            refit(cases, config, runs / config.name, pick_device())
        if arguments.command in ("export", "run"):
            export(cases, config, runs / config.name)
        if arguments.command == "worst":
            sys.stdout.write(draw_failure_cases(cases, config, runs / config.name, arguments.count))
        if arguments.command == "shifts":
            sys.stdout.write(measure_robustness(cases, config, runs / config.name, pick_device()))
    except MipsegError as error:
        parser.exit(1, f"error: {error}\n")


if __name__ == "__main__":
    main()
