from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from mipseg.errors import ConfigError
from mipseg.io.dataset import Case
from mipseg.training.config import CONFIGS, Config
from mipseg.training.identity import hash_cases
from mipseg.training.runs import Run, load_run
from mipseg.training.split import Split


@pytest.fixture
def run(config: Config, tmp_path: Path) -> Run:
    return Run(config, tmp_path / "run")


@pytest.fixture
def semi(run: Run) -> Run:
    """One that draws patients without reference too."""
    return replace(run, config=replace(run.config, unlabelled_fraction=0.2))


def test_the_file_that_is_given_is_the_one_that_is_read(tmp_path: Path) -> None:
    file = tmp_path / "unet_v18.toml"
    file.write_text('name = "mine"\nlearning_rate = 5e-4\n')
    run = load_run(file, tmp_path / "runs")
    assert run.config.learning_rate == 5e-4
    assert run.folder == tmp_path / "runs/mine"


def test_the_name_of_an_experiment_that_ships_is_that_experiments(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text((CONFIGS / "unet_v18.toml").read_text())
    assert load_run(file, tmp_path / "runs").folder == tmp_path / "runs/unet_v18"
    file.write_text(file.read_text().replace("1.5e-3", "5e-4"))
    with pytest.raises(ConfigError, match=r"mine\.toml: unet_v18 ships with the code; give your own"):
        load_run(file, tmp_path / "runs")


def test_other_runs_are_found_beside_it_or_among_those_that_ship(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\nensemble = ["unet_v18", "near"]\n')
    (tmp_path / "near.toml").write_text('name = "near"\nseed = 77\n')
    run = load_run(file, tmp_path / "runs")
    assert [member.config.name for member in run.members] == ["mine", "unet_v18", "near"]
    assert [member.config.seed for member in run.ensemble] == [33, 77]
    assert run.ensemble[1].folder == tmp_path / "runs/near"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('ensemble = ["nowhere"]', r"mine\.toml: there is no nowhere\.toml in "),
        ('ensemble = ["mine"]', "mine can't be averaged with itself"),
        ('ensemble = ["unet_v18", "unet_v18"]', "ensemble names a run twice"),
        ('ensemble = ["unet_v20"]', "unet_v20 is itself averaged with unet_v18; name unet_v18 as well"),
        ('ensemble = ["wrong"]', r"wrong\.toml: its name is right, but .*mine\.toml looks for wrong there"),
    ],
)
def test_runs_that_do_not_fit_are_named(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f'name = "mine"\n{content}\n')
    (tmp_path / "wrong.toml").write_text('name = "right"\n')
    with pytest.raises(ConfigError, match=message):
        load_run(file, tmp_path / "runs")


def test_every_network_has_a_folder_of_its_own(run: Run, tmp_path: Path) -> None:
    assert run.network_folder(1) == tmp_path / "run/fold1"
    assert run.network_folder(None) == tmp_path / "run/all"


def test_an_identity_names_data_and_fold(run: Run, split: Split) -> None:
    identity = run.identity(split, 1)
    assert (identity.fold, identity.config["name"]) == (1, "tiny")
    assert (identity.data_hash, identity.split_hash) == split.hashes[:2]
    assert identity.data_hash == hash_cases(split.cases)
    assert run.identity(split, None).differences(identity) == ["fold is null, not 1"]


def test_patients_without_reference_count_only_where_they_are_drawn(
    run: Run, semi: Run, split: Split, unlabelled: list[Case]
) -> None:
    with_more = replace(split, unlabelled=unlabelled)
    assert run.identity(with_more, 0) == run.identity(split, 0)
    assert run.identity(with_more, 0).unlabelled_hash is None
    assert semi.identity(with_more, 0).unlabelled_hash == hash_cases(unlabelled)
    fewer = semi.identity(replace(split, unlabelled=unlabelled[:1]), 0)
    assert [words.split()[0] for words in fewer.differences(semi.identity(with_more, 0))] == ["unlabelled_hash"]
    # Drawn, but never labelled: they are not used either.
    unused = replace(semi, config=replace(semi.config, label_at=()))
    assert unused.identity(with_more, 0).unlabelled_hash is None


def test_a_run_goes_without_patients_without_reference_where_there_are_none(semi: Run, split: Split) -> None:
    assert semi.identity(split, 0).unlabelled_hash is None
