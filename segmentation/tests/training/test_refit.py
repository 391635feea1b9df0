import shutil
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from mipseg.errors import ModelError  # noqa: E402
from mipseg.training.checkpoint import load_ema_network  # noqa: E402
from mipseg.training.config import Stage  # noqa: E402
from mipseg.training.fold import train_fold  # noqa: E402
from mipseg.training.refit import refit, shipped_networks  # noqa: E402
from mipseg.training.runs import Run  # noqa: E402
from mipseg.training.split import Split  # noqa: E402
from mipseg.training.train import Options  # noqa: E402

OPTIONS = Options(torch.device("cpu"))


@pytest.fixture
def ensemble(trained_run: Run, split: Split, tmp_path: Path) -> Run:
    """The trained run with a last pass, averaged with one of another architecture."""
    other_config = replace(
        trained_run.config, name="other", pixel_unshuffle=2, atlas=True, channels=(8, 8, 8), stages=(Stage(2, 2, 2),)
    )
    other = Run(other_config, tmp_path / "runs/other")
    for fold in range(2):
        train_fold(other, fold, split, OPTIONS)
    folder = Path(shutil.copytree(trained_run.folder, tmp_path / "runs/tiny"))
    config = replace(trained_run.config, refit_images=2, ensemble=("other",))
    return Run(config, folder, ensemble=(other,))


def test_runs_and_folds_take_turns_and_every_run_sees_both_views(trained_run: Run, split: Split) -> None:
    other = replace(trained_run, config=replace(trained_run.config, name="other"))
    five = replace(split, folds={case.id: number % 5 for number, case in enumerate(split.cases)})
    networks = shipped_networks(replace(trained_run, ensemble=(other,)), five)
    own, others = ([n for n, net in enumerate(networks) if net.run.config.name == name] for name in ("tiny", "other"))
    assert (own, others) == ([0, 3, 4, 7], [1, 2, 5, 6])  # every second network sees the mirror image
    assert [networks[n].fold for n in own] == [0, 1, 2, 3]
    assert [networks[n].fold for n in others] == [1, 2, 3, 4]


def test_no_network_ships_twice(trained_run: Run, split: Split) -> None:
    other = replace(trained_run, folder=trained_run.folder.parent / "other")
    networks = shipped_networks(replace(trained_run, ensemble=(other,)), split)
    assert len({network.folder for network in networks}) == len(networks) == 4
    assert [network.folder.name for network in shipped_networks(trained_run, split)] == ["fold0", "fold1"]


@pytest.mark.long
def test_networks_that_ship_are_trained_once_more_on_all_cases(ensemble: Run, split: Split) -> None:
    networks = shipped_networks(ensemble, split)
    with pytest.raises(ModelError, match="train refit0 first"):
        load_ema_network(networks[0].folder, networks[0].identity)
    refit(ensemble, split, OPTIONS)
    changed = [network.folder.joinpath("checkpoint.pt").stat().st_mtime_ns for network in networks]
    refit(ensemble, split, OPTIONS)  # what is finished is not trained again
    assert changed == [network.folder.joinpath("checkpoint.pt").stat().st_mtime_ns for network in networks]
    trained = [load_ema_network(network.folder, network.identity) for network in networks]
    assert [network.in_channels for network in trained] == [1, 3, 3, 1]  # each keeps its own architecture
    assert [(network.run.config.name, network.fold) for network in networks] == [
        ("tiny", 0),
        ("other", 1),
        ("other", 0),
        ("tiny", 1),
    ]
    for number, (network, shipped) in enumerate(zip(trained, networks, strict=True)):
        assert shipped.refit
        assert shipped.folder == ensemble.folder / f"refit{number}"
        config = shipped.identity.config
        assert (config["seed"], config["learning_rate"], shipped.identity.fold) == (300 + number, 1.5e-3, None)
        assert config["stages"] == [{"downscale": 1, "images": 2, "batch": 2}]
        source_identity = shipped.run.identity(split, shipped.fold)
        assert shipped.identity.init_hash == source_identity.digest
        source = load_ema_network(shipped.run.fold_folder(shipped.fold), source_identity)
        assert not torch.equal(network.tumour.weight, source.tumour.weight)


def test_without_a_last_pass_nothing_is_trained(trained_run: Run, split: Split) -> None:
    refit(trained_run, split, OPTIONS)
    assert not list(trained_run.folder.glob("refit*"))
    first, second = shipped_networks(trained_run, split)
    assert (first.refit, first.folder, second.folder) == (False, trained_run.fold_folder(0), trained_run.fold_folder(1))
    assert load_ema_network(first.folder, first.identity).in_channels == 1
