import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from mipseg.errors import ModelError  # noqa: E402
from mipseg.training.checkpoint import CHECKPOINT, load_ema_network  # noqa: E402
from mipseg.training.predict import PROBABILITIES, read_probabilities  # noqa: E402
from mipseg.training.runs import Run  # noqa: E402
from mipseg.training.side_by_side import train_networks  # noqa: E402
from mipseg.training.split import Split  # noqa: E402
from mipseg.training.train import Options, TimeIsUpError  # noqa: E402

pytestmark = pytest.mark.long  # processes that import PyTorch

CPU = torch.device("cpu")
OPTIONS = Options(CPU)


def test_networks_at_once_are_those_that_come_one_after_another(
    trained_run: Run, split: Split, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = replace(trained_run, folder=tmp_path / "tiny")
    train_networks([(run, 0), (run, 1), (run, None)], split, OPTIONS, jobs=2, threads=1)
    for fold in (0, 1):
        identity = run.identity(split, fold)
        weights, expected = (load_ema_network(one.network_folder(fold), identity) for one in (run, trained_run))
        for (name, mine), (_, other) in zip(weights.state_dict().items(), expected.state_dict().items(), strict=True):
            assert torch.equal(mine, other), name
        answers = read_probabilities(run.network_folder(fold) / PROBABILITIES, identity)
        assert set(answers) == {case.id for case in split.left_out(fold)}
    assert load_ema_network(run.network_folder(None), run.identity(split, None))
    shown = capfd.readouterr()
    assert shown.out.splitlines() == [f"{number} of 3 networks: done" for number in (1, 2, 3)]  # no bars of several


def test_none_is_begun_when_time_is_up(trained_run: Run, split: Split, tmp_path: Path) -> None:
    run = replace(trained_run, folder=tmp_path / "late")
    with pytest.raises(TimeIsUpError, match=r"fold. was not begun; .*fold. was not begun"):
        train_networks([(run, 0), (run, 1)], split, replace(OPTIONS, deadline=time.monotonic()), jobs=2, threads=1)
    assert not run.folder.exists()


def test_each_writes_its_checkpoint_when_time_is_up(trained_run: Run, split: Split, tmp_path: Path) -> None:
    train_networks([(trained_run, 0), (trained_run, 1)], split, OPTIONS, jobs=2, threads=1)  # done: starts processes
    run = replace(trained_run, config=replace(trained_run.config, images=200_000), folder=tmp_path / "endless")
    in_time = replace(OPTIONS, deadline=time.monotonic() + 5)
    with pytest.raises(TimeIsUpError, match=r"stopped at step \d+ of 100000 .*; stopped at step"):
        train_networks([(run, 0), (run, 1)], split, in_time, jobs=2, threads=1)
    assert all((run.network_folder(fold) / CHECKPOINT).is_file() for fold in (0, 1))


def test_an_error_is_that_of_the_network_that_failed(trained_run: Run, split: Split, tmp_path: Path) -> None:
    run = replace(trained_run, folder=tmp_path / "tiny")
    shutil.copytree(trained_run.network_folder(0), run.network_folder(1))
    with pytest.raises(ModelError, match="fold is 0, not 1"):
        train_networks([(run, 1), (run, None)], split, OPTIONS, jobs=2, threads=1)
