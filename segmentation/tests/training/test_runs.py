from pathlib import Path

import pytest

from mipseg.errors import ConfigError
from mipseg.training.config import CONFIGS, Config
from mipseg.training.runs import Run, load_run
from mipseg.training.split import Split


def test_the_file_that_is_given_is_the_one_that_is_read(tmp_path: Path) -> None:
    file = tmp_path / "unet_v8.toml"
    file.write_text((CONFIGS / "unet_v8.toml").read_text() + "learning_rate = 5e-4\n")
    run = load_run(file, tmp_path / "runs")
    assert run.config.learning_rate == 5e-4
    assert load_run(CONFIGS / "unet_v8.toml", tmp_path / "runs").config.learning_rate == 2e-3
    assert run.folder == tmp_path / "runs/unet_v8"


def test_other_runs_are_found_beside_it_or_among_those_that_ship(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\ninit_from = "unet_v5"\nensemble = ["unet_v6", "near"]\n')
    (tmp_path / "near.toml").write_text('name = "near"\nseed = 77\ninit_from = "unet_v5"\n')
    (tmp_path / "unet_v5.toml").write_text('name = "unet_v5"\nseed = 55\n')
    run = load_run(file, tmp_path / "runs")
    assert run.init is not None
    assert (run.init.config.seed, run.init.folder) == (55, tmp_path / "runs/unet_v5")
    assert [member.config.name for member in run.members] == ["mine", "unet_v6", "near"]
    assert [member.init.config.seed for member in run.ensemble if member.init] == [5, 55]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('ensemble = ["nowhere"]', r"mine\.toml: there is no nowhere\.toml in "),
        ('init_from = "nowhere"', r"mine\.toml: there is no nowhere\.toml in "),
        ('init_from = "mine"', "in a circle: mine <- mine"),
        ('init_from = "other"', "in a circle: mine <- other <- mine"),
        ('ensemble = ["mine"]', "mine can't be averaged with itself"),
        ('ensemble = ["wrong"]', r"wrong\.toml: its name is right, but .*mine\.toml looks for wrong there"),
    ],
)
def test_runs_that_do_not_fit_are_named(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f'name = "mine"\n{content}\n')
    (tmp_path / "other.toml").write_text('name = "other"\ninit_from = "mine"\n')
    (tmp_path / "wrong.toml").write_text('name = "right"\n')
    with pytest.raises(ConfigError, match=message):
        load_run(file, tmp_path / "runs")


def test_identity_of_a_fold_holds_that_of_the_run_it_starts_from(split: Split, config: Config, tmp_path: Path) -> None:
    start = Run(config, tmp_path / "start")
    run = Run(config, tmp_path / "run", start)
    identity = run.identity(split, 1)
    assert identity.fold == 1
    assert identity.init_hash == start.identity(split, 1).digest
    assert (identity.data_hash, identity.split_hash) == (split.data_hash, split.split_hash)
    assert run.fold_folder(1) == tmp_path / "run/fold1"
