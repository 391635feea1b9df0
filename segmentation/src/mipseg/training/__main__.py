"""Command line of the training: `python -m mipseg.training <command> <config.toml>`; every command resumes."""

import argparse
from pathlib import Path

import torch

from mipseg.dataset import Case, load_dataset
from mipseg.errors import MipsegError
from mipseg.settings import Settings, project_root
from mipseg.training.config import Config, load_config
from mipseg.training.evaluate import evaluate
from mipseg.training.export import export
from mipseg.training.predict import predict_cases
from mipseg.training.split import FOLDS, read_folds
from mipseg.training.train import Trainer, pick_device

DEFAULT_CONFIG = Path(__file__).parent / "configs/unet_v1.toml"


def _train_fold(cases: list[Case], config: Config, fold: int, runs: Path) -> None:
    """Train without one fold and predict that fold."""
    folds = read_folds(cases)
    folder, device = runs / config.name / f"fold{fold}", pick_device()
    if (folder / "probabilities.npz").is_file():
        return
    network = Trainer([c for c in cases if folds[c.id] != fold], config, folder, device).run()
    predict_cases(network, [c for c in cases if folds[c.id] == fold], folder / "probabilities.npz", device)


def _train_all(cases: list[Case], config: Config, runs: Path) -> None:
    """Train on all cases; these are the weights to ship."""
    Trainer(cases, config.final(), runs / config.name / "all", pick_device()).run()


def main() -> None:
    """Train folds, train on all cases, evaluate, export; `run` does everything in that order."""
    parser = argparse.ArgumentParser(prog="python -m mipseg.training", description=__doc__)
    parser.add_argument("command", choices=["run", "fold", "all", "evaluate", "export"])
    parser.add_argument("config", type=Path, nargs="?", default=DEFAULT_CONFIG)
    parser.add_argument("--fold", type=int, choices=range(FOLDS), help="which fold `fold` leaves out")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 takes every core")
    arguments = parser.parse_args()
    if (arguments.command == "fold") != (arguments.fold is not None):
        parser.error("--fold goes with the command `fold`, and only with it")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    runs, config = project_root() / "runs", load_config(arguments.config)
    try:
        cases = load_dataset(Settings().data_dir)
        if arguments.command in ("fold", "run"):
            for fold in range(FOLDS) if arguments.fold is None else [arguments.fold]:
                _train_fold(cases, config, fold, runs)
        if arguments.command in ("all", "run"):
            _train_all(cases, config, runs)
        if arguments.command in ("evaluate", "run"):
            evaluate(cases, config, runs / config.name)
        if arguments.command in ("export", "run"):
            export(cases, config, runs / config.name)
    except MipsegError as error:
        parser.exit(1, f"error: {error}\n")


if __name__ == "__main__":
    main()
