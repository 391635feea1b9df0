import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from mipseg.errors import ModelError
from mipseg.io.dataset import Case, load_dataset
from mipseg.settings import Settings
from mipseg.training.card_words import PUBLISHED
from mipseg.training.config import Config
from mipseg.training.identity import DataHashes, Identity, code_state, hash_cases, hash_folds, make_identity

DATA = Settings().data_dir
HASHES = DataHashes("d" * 64, "s" * 64, None)


@pytest.fixture
def identity(config: Config) -> Identity:
    return make_identity(config, HASHES, 0)


def test_data_is_its_ids_and_pixels_in_any_order(cases: list[Case]) -> None:
    expected = hash_cases(cases)
    assert hash_cases(cases[::-1]) == expected
    assert hash_cases([replace(case) for case in cases]) == expected
    pixel, outline = cases[0].image.copy(), cases[0].mask.copy()
    pixel[5, 5] ^= 1
    outline[5, 5] ^= True
    others = [replace(cases[0], image=pixel), replace(cases[0], mask=outline), replace(cases[0], id="patient_999")]
    flat = Case(cases[0].id, cases[0].image.reshape(64, 256), cases[0].mask.reshape(64, 256))
    hashes = {hash_cases([other, *cases[1:]]) for other in (*others, flat)} | {hash_cases(cases[1:])}
    assert len(hashes | {expected}) == 6


@pytest.mark.skipif(not (DATA / "patients").is_dir(), reason=f"THE DATA SET IS NOT INSTALLED in {DATA}: make data")
def test_the_published_data_set_is_known_by_its_hash() -> None:
    assert hash_cases(load_dataset(DATA)) == PUBLISHED


def test_a_split_is_who_is_in_which_fold() -> None:
    assert hash_folds({"a": 0, "b": 1}) == hash_folds({"b": 1, "a": 0})
    assert hash_folds({"a": 0, "b": 1}) != hash_folds({"a": 1, "b": 0})


def test_every_decisive_field_is_compared_and_named(config: Config, identity: Identity) -> None:
    assert identity.differences(make_identity(config, HASHES, 0)) == []
    edited = replace(config, learning_rate=0.1, channels=(8, 16, 8), label_at=(0.5,))
    other = make_identity(edited, DataHashes("e" * 64, "t" * 64, "u" * 64), 1)
    with pytest.raises(ModelError, match=r"here\.pt belongs to another run") as refused:
        other.require(identity, Path("here.pt"))
    for words in (
        "config.channels is [8, 16, 8], not [8, 8, 8, 8, 8]",
        "config.learning_rate is 0.1, not 0.003",
        f"data_hash is {'e' * 12}, not {'d' * 12}",
        f"split_hash is {'t' * 12}, not {'s' * 12}",
        "fold is 1, not 0",
        f"unlabelled_hash is {'u' * 12}, not null",
        "config.label_at is [0.5], not [0.4, 0.7]",
    ):
        assert words in str(refused.value)
    assert "config.seed" not in str(refused.value)


def test_what_is_used_after_training_and_what_it_ran_with_is_no_difference(config: Config, identity: Identity) -> None:
    later = make_identity(replace(config, ensemble=("other",)), HASHES, 0)
    later = replace(later, commit="0" * 40, dirty=True, versions={"torch": "1.0"})
    assert identity.differences(later) == []
    later.require(identity, Path("here.pt"))


def test_an_identity_survives_its_file(identity: Identity) -> None:
    assert Identity(**identity.to_json()) == identity
    assert identity.versions["numpy"] == np.__version__


def test_commit_is_that_of_the_checkout_which_tracks_the_file(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    code, installed = tmp_path / "code.py", tmp_path / "lib/installed.py"
    installed.parent.mkdir()
    code.write_text("1")
    installed.write_text("1")
    git("init")
    git("add", "code.py")
    git("commit", "--message", "first")
    assert code_state(code) == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    assert code_state(installed) == {"commit": None, "dirty": None}
    code.write_text("2")
    code_state.cache_clear()
    assert code_state(code)["dirty"] is True
