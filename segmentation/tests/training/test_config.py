import re
import tomllib
from dataclasses import asdict
from pathlib import Path

import pytest

from mipseg.errors import ConfigError
from mipseg.training.config import CONFIGS, Config, Stage, load_config
from mipseg.training.runs import load_run

FILES = sorted(CONFIGS.glob("*.toml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_configurations_name_themselves_and_runs_that_there_are(file: Path) -> None:
    assert load_run(file, Path("runs")).config.name == file.stem


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_configurations_state_only_what_differs_from_the_defaults(file: Path) -> None:
    defaults, stated = asdict(Config("any")), tomllib.loads(file.read_text())
    resolved = asdict(load_config(file))
    assert {name for name in stated if resolved[name] == defaults[name]} == set()


def test_configurations_that_ship_are_those_that_the_model_needs() -> None:
    run = load_run(CONFIGS / "unet_v8.toml", Path("runs"))
    needed = {member.config.name for member in run.members}
    needed |= {member.init.config.name for member in run.members if member.init}
    assert needed == {file.stem for file in FILES}


def test_every_field_is_read() -> None:
    config = load_config(CONFIGS / "unet_v8.toml")
    assert (config.ensemble, config.channels) == (("unet_v6",), (16, 16, 32, 64, 128, 256))
    assert config.stages == (Stage(2, 14000, 4), Stage(1, 18000, 4))
    assert config.steps == 8000
    start = load_config(CONFIGS / "unet_v6.toml")
    assert (start.init_from, start.channels, start.atlas) == ("unet_v5", (16, 32, 64, 128, 256), False)
    assert (start.stages, start.learning_rate, start.hard_mining_fraction) == ((Stage(1, 8000, 4),), 1.5e-3, 0.5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sed = 11", "sed: Unexpected"),
        ('seed = "many"', "seed: Input should be a valid integer"),
        ("[[stages]]\ndownscale = 1\nimages = 4\nbatches = 4", "stages.0.batch: Field required; stages.0.batches: Un"),
        ("[[stages]]\ndownscale = 1\nimages = 4\nbatch = 0", "stages.0.batch: Input should be greater than or equal"),
        ("stages = []", "stages: Tuple should have at least 1 item"),
        ("channels = [8, 8]", "channels: Tuple should have at least 3 items"),
        ("patient_fraction = 1.5", "patient_fraction: Input should be less than or equal to 1"),
        ('ensemble = ["../other"]', "ensemble.0: String should match pattern"),
        ("seed 8", "line 2"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_said(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f'name = "mine"\n{content}\n')
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        load_config(file)
    assert str(caught.value).startswith(f"{file}: ")


def test_a_configuration_needs_a_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("seed = 8\n")
    with pytest.raises(ConfigError, match="name: Field required"):
        load_config(file)


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_file_that_is_missing_or_not_text_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "mine.toml"
    if content:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"mine\.toml: ") as caught:
        load_config(file)
    assert str(caught.value).count("mine.toml") == 1
