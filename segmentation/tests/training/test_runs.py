from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from mipseg.errors import ConfigError
from mipseg.io.dataset import Case
from mipseg.training.config import Config
from mipseg.training.identity import hash_cases
from mipseg.training.runs import Run
from mipseg.training.split import Split


@pytest.fixture
def run(config: Config, tmp_path: Path) -> Run:
    return Run(replace(config, members=3), tmp_path / "run")


@pytest.fixture
def semi(run: Run) -> Run:
    """One that draws patients without reference too."""
    return replace(run, config=replace(run.config, unlabelled_fraction=0.2))


def test_every_network_has_a_folder_of_its_own(run: Run, tmp_path: Path) -> None:
    assert list(run.members) == [0, 1, 2]
    assert run.network_folder(1, 2) == tmp_path / "run/fold1/member2"
    assert run.network_folder(0, 0) == tmp_path / "run/fold0/member0"
    assert run.network_folder(None, 1) == tmp_path / "run/all/member1"


def test_an_identity_names_data_fold_and_member(run: Run, split: Split) -> None:
    identity = run.identity(split, 1, 2)
    assert (identity.fold, identity.member, identity.config["name"]) == (1, 2, "tiny")
    assert (identity.data_hash, identity.split_hash) == split.hashes[:2]
    assert identity.data_hash == hash_cases(split.cases)
    shipped = run.identity(split, None, 2)
    assert shipped.differences(identity) == ["fold is null, not 1"]


def test_patients_without_reference_count_only_where_they_are_drawn(
    run: Run, semi: Run, split: Split, unlabelled: list[Case]
) -> None:
    with_more = replace(split, unlabelled=unlabelled)
    assert run.identity(with_more, 0, 0) == run.identity(split, 0, 0)
    assert run.identity(with_more, 0, 0).unlabelled_hash is None
    assert semi.identity(with_more, 0, 0).unlabelled_hash == hash_cases(unlabelled)
    fewer = semi.identity(replace(split, unlabelled=unlabelled[:1]), 0, 0)
    assert [words.split()[0] for words in fewer.differences(semi.identity(with_more, 0, 0))] == ["unlabelled_hash"]
    # Drawn, but never labelled: they are not used either.
    unused = replace(semi, config=replace(semi.config, label_at=()))
    assert unused.identity(with_more, 0, 0).unlabelled_hash is None


def test_a_run_that_wants_patients_without_reference_needs_them(semi: Run, split: Split) -> None:
    with pytest.raises(ConfigError, match="tiny trains on patients without reference too: MIPSEG_UNLABELLED_DIR has"):
        semi.identity(split, 0, 0)
