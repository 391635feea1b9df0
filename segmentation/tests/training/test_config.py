import json
import re
import tomllib
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mipseg.errors import ConfigError
from mipseg.training.config import CONFIGS, Config, load_config

FILES = sorted(CONFIGS.glob("*.toml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_configurations_name_themselves(file: Path) -> None:
    assert load_config(file).name == file.stem


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_configurations_state_only_what_differs_from_the_defaults(file: Path) -> None:
    defaults, stated = asdict(Config("any")), tomllib.loads(file.read_text())
    resolved = asdict(load_config(file))
    assert {name for name in stated if resolved[name] == defaults[name]} == set()


def test_every_field_is_read(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    other = {
        "name": "mine", "ensemble": ("other",), "seed": 7, "views": ("mirrored",), "encoder": "half",
        "smoothing": 1.5, "pixel_unshuffle": 2,
        "channels": (8, 16, 24, 32, 8), "images": 1000, "batch": 8,
        "learning_rate": 1e-3, "weight_decay": 0.5, "warmup_steps": 3, "ema_decay": 0.5, "patient_fraction": 0.9,
        "unlabelled_fraction": 0.1, "label_at": (0.5,), "window_jitter": 0.1, "compose_patients": 0.2,
        "compose_controls": 0.3, "anywhere": 0.6, "anywhere_tall": 0.4, "cross_entropy": 2.0, "image_dice": 0.7,
    }  # fmt: skip
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in other.items()]
    file.write_text("".join(lines))
    assert asdict(load_config(file)) == other
    assert {name for name, value in asdict(Config("any")).items() if value == other[name]} == {"pixel_unshuffle"}


def test_steps_and_those_of_labelling_follow_from_the_images() -> None:
    config = Config("any", images=1000, batch=8, label_at=(0.0, 0.25, 0.7), unlabelled_fraction=0.1)
    assert config.steps == 125
    assert config.label_steps == (0, 31, 87)
    assert replace(config, unlabelled_fraction=0.0).label_steps == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sed = 11", "sed: Unexpected"),
        ('seed = "many"', "seed: Input should be a valid integer"),
        ("batch = 0", "batch: Input should be greater than or equal to 1"),
        ('ensemble = ["../other"]', "ensemble.0: String should match pattern"),
        ("label_at = [0.4, 1.2]", "label_at.1: Input should be less than 1"),
        ("atlas = true", "atlas: Unexpected"),
        ("stages = []", "stages: Unexpected"),
        ("channels = [8, 8]", "channels: Tuple should have at least 3 items"),
        ('encoder = "half"\npixel_unshuffle = 4', "a pretrained network has pixel_unshuffle 2 and five channels"),
        ('encoder = "full"\nchannels = [8, 8, 8]', "a pretrained network has pixel_unshuffle 2 and five channels"),
        ("smoothing = 1.0", "smoothing is for what a pretrained encoder sees"),
        ("seed = 99999999999999999999", "seed: Input should be less than"),
        ("learning_rate = nan", "learning_rate: Input should be less than or equal to 1"),
        ("window_jitter = inf", "window_jitter: Input should be less than or equal to 3"),
        ("weight_decay = inf", "weight_decay: Input should be a finite number"),
        ("label_at = [1.0]", "label_at.0: Input should be less than 1"),
        (
            "pixel_unshuffle = 3",
            "make a pixel of the deepest level 48 px wide; it has to be a power of two, 64 at most",
        ),
        ("channels = [8, 8, 8, 8, 8, 8, 8]", "make a pixel of the deepest level 128 px wide"),
        ("images = 4\nbatch = 8", "4 images do not fill a batch of 8"),
        ('views = ["plain", "plain"]', "views: one of them stands twice"),
        ("patient_fraction = 1.5", "patient_fraction: Input should be less than or equal to 1"),
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


def test_a_file_may_begin_with_a_mark_of_its_encoding(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\n', "utf-8-sig")
    assert load_config(file).name == "mine"


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_file_that_is_missing_or_not_text_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "mine.toml"
    if content:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"mine\.toml: ") as caught:
        load_config(file)
    assert str(caught.value).count("mine.toml") == 1
