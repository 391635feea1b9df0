from pathlib import Path

import pytest

from mipseg.errors import ConfigError
from mipseg.training import config as module
from mipseg.training.config import Stage, load_config

CONFIGS = Path(module.__file__).parent / "configs"


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.toml")), ids=lambda file: file.stem)
def test_configurations_name_themselves_and_runs_that_there_are(file):
    config = load_config(file)
    assert config.name == file.stem
    for name in (*config.ensemble, *filter(None, [config.init_from])):
        assert (CONFIGS / f"{name}.toml").is_file()


def test_every_field_is_read():
    config = load_config(CONFIGS / "unet_v8.toml")
    assert (config.ensemble, config.channels) == (("unet_v6",), (16, 16, 32, 64, 128, 256))
    assert config.stages == (Stage(2, 14000, 4), Stage(1, 18000, 4))
    assert config.steps == 8000


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed = 8", "sed = 11", "seed: Field required; sed: Unexpected"),
        ("seed = 8", 'seed = "many"', "seed: Input should be a valid integer"),
        ("batch = 4", "batches = 4", r"stages\.0\.batch: Field required"),
        ("seed = 8", "seed 8", "line 6"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_said(tmp_path, old, new, message):
    text = (CONFIGS / "unet_v8.toml").read_text()
    file = tmp_path / "mine.toml"
    file.write_text(text.replace(old, new))
    assert old in text
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(file)
    assert str(caught.value).startswith(f"{file}: ")


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_file_that_is_missing_or_no_text_is_an_error(tmp_path, content):
    file = tmp_path / "mine.toml"
    if content:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"mine\.toml: ") as caught:
        load_config(file)
    assert str(caught.value).count("mine.toml") == 1
