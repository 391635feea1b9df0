import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]  # noqa: E402
from torch import Tensor  # noqa: E402

from mipseg.errors import ConfigError, ModelError  # noqa: E402
from mipseg.io.dataset import Case  # noqa: E402
from mipseg.training import train as module  # noqa: E402
from mipseg.training.augment import Example  # noqa: E402
from mipseg.training.checkpoint import State, load_ema_network  # noqa: E402
from mipseg.training.config import Config, Stage  # noqa: E402
from mipseg.training.identity import Identity, make_identity  # noqa: E402
from mipseg.training.network import UNet  # noqa: E402
from mipseg.training.runs import Run  # noqa: E402
from mipseg.training.split import Split  # noqa: E402
from mipseg.training.train import (  # noqa: E402
    Job,
    Options,
    Start,
    TimeIsUpError,
    atlas_of,
    begin,
    learning_rate,
    pick_device,
    train,
    train_step,
)

CPU = torch.device("cpu")
OPTIONS = Options(CPU, checkpoint_steps=2)


def identity_of(config: Config) -> Identity:
    return make_identity(config, "d" * 64, "s" * 64, None, None)


def new_job(config: Config, folder: Path, cases: Sequence[Case]) -> Job:
    return Job(config, identity_of(config), folder, cases)


def checkpoint(folder: Path) -> dict:  # type: ignore[type-arg]
    return torch.load(folder / "checkpoint.pt", weights_only=True)  # type: ignore[no-any-return]


def equal(network: UNet, other: UNet) -> bool:
    pairs = zip(network.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def interrupt(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let training be interrupted before a step."""

    def interrupted(state: State, *arguments: object) -> object:
        if state.step == step:
            raise KeyboardInterrupt
        return train_step(state, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "train_step", interrupted)


def test_run_goes_through_all_stages_and_is_repeatable(
    trained_run: Run, split: Split, config: Config, tmp_path: Path
) -> None:
    folder, identity = trained_run.fold_folder(0), trained_run.identity(split, 0)
    again = train(Job(config, identity, tmp_path, split.training(0)), OPTIONS)
    assert equal(again, load_ema_network(folder, identity))
    state = checkpoint(folder)
    assert state["step"] == config.steps == 4
    assert Identity(**state["identity"]) == identity


def test_scores_are_in_tensorboard(trained_run: Run) -> None:
    log = EventAccumulator(str(trained_run.fold_folder(0)))
    log.Reload()
    tags = {"loss", "learning_rate", "images_per_second", "validation_dice", "validation_clean_controls"}
    assert set(log.Tags()["scalars"]) == tags
    (clean,) = log.Scalars("validation_clean_controls")
    assert clean.step == 4
    assert clean.value in (0, 0.5, 1)  # of two controls


def test_networks_are_validated_every_few_minutes_and_at_the_end(
    cases: list[Case], config: Config, tmp_path: Path
) -> None:
    def steps(name: str, validation: Sequence[Case], seconds: float) -> list[int]:
        job = replace(new_job(config, tmp_path / name, cases), validation=validation)
        train(job, replace(OPTIONS, validation_seconds=seconds))
        log = EventAccumulator(str(tmp_path / name))
        log.Reload()
        scalars = log.Scalars("validation_dice") if "validation_dice" in log.Tags()["scalars"] else []
        return [scalar.step for scalar in scalars]

    assert steps("often", cases[:1], 0) == [1, 2, 3, 4]
    assert steps("rarely", cases[:1], 1e6) == [4]
    assert steps("never", (), 0) == []


def test_interrupted_run_resumes_where_it_stopped(
    cases: list[Case], config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = new_job(config, tmp_path, cases)
    interrupt(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        train(job, OPTIONS)
    saved, resumed = checkpoint(tmp_path), begin(job, CPU)
    assert resumed.step == saved["step"] == 2
    for name, part in (("network", resumed.network), ("ema_network", resumed.ema_network)):
        for value, kept in zip(part.state_dict().values(), saved[name].values(), strict=True):
            assert torch.equal(value, kept), name
    assert not equal(resumed.network, resumed.ema_network)
    assert resumed.average.n_averaged == 3
    moments = resumed.optimizer.state_dict()["state"]
    assert torch.equal(moments[0]["exp_avg"], saved["optimizer"]["state"][0]["exp_avg"])
    monkeypatch.undo()
    train(job, OPTIONS)
    assert checkpoint(tmp_path)["step"] == config.steps


def test_costs_survive_a_resume(
    cases: list[Case], config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = replace(config, compose_patients=0.0, compose_controls=0.0)
    job = new_job(plain, tmp_path, cases)
    interrupt(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        train(job, OPTIONS)
    costs = checkpoint(tmp_path)["costs"]
    assert 1 <= (costs != 1).sum() <= 4  # two steps of two images
    assert torch.equal(begin(job, CPU).costs, costs)


def test_a_resumed_run_draws_other_images(
    cases: list[Case], config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []

    def noted(state: State, batch: Example, *arguments: object) -> object:
        seen.append(batch.image)
        return train_step(state, batch, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "train_step", noted)
    one_stage = replace(config, stages=(Stage(2, 4, 2),))
    with pytest.raises(TimeIsUpError):
        train(new_job(one_stage, tmp_path, cases), replace(OPTIONS, deadline=time.monotonic()))
    train(new_job(one_stage, tmp_path, cases), OPTIONS)
    assert len(seen) == 2
    assert not torch.equal(seen[0], seen[1])


def test_time_that_is_up_stops_after_a_checkpoint_and_a_validation(
    cases: list[Case], config: Config, tmp_path: Path
) -> None:
    job = replace(new_job(config, tmp_path, cases), validation=cases[:1])
    with pytest.raises(TimeIsUpError, match=f"stopped at step 1 of 4 of {tmp_path}"):
        train(job, Options(CPU, deadline=time.monotonic()))
    assert checkpoint(tmp_path)["step"] == 1
    log = EventAccumulator(str(tmp_path))
    log.Reload()
    assert [scalar.step for scalar in log.Scalars("validation_dice")] == [1]
    train(job, OPTIONS)
    assert checkpoint(tmp_path)["step"] == 4


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of Python 3.12; a worker uses no thread of ours
def test_images_drawn_by_workers_train_as_well(cases: list[Case], config: Config, tmp_path: Path) -> None:
    alone, fed = (train(new_job(config, tmp_path / str(workers), cases), Options(CPU, workers)) for workers in (0, 1))
    # One worker draws the stream of a single process, and no cost was read before the end.
    assert equal(alone, fed)


def test_another_run_is_refused_by_name(cases: list[Case], config: Config, tmp_path: Path) -> None:
    job = new_job(config, tmp_path, cases)
    with pytest.raises(TimeIsUpError):
        train(job, replace(OPTIONS, deadline=time.monotonic()))
    before = (tmp_path / "checkpoint.pt").read_bytes()
    for change, words in (
        ({"learning_rate": 0.1}, r"config\.learning_rate is 0\.003, not 0\.1"),
        ({"channels": (8, 8, 8, 8, 16)}, r"config\.channels is .* not \[8, 8, 8, 8, 16\]"),
        ({"seed": 4}, r"config\.seed is 3, not 4"),
    ):
        with pytest.raises(ModelError, match=words):
            train(new_job(replace(config, **change), tmp_path, cases), OPTIONS)
    other_data = make_identity(config, "e" * 64, "s" * 64, None, None)
    with pytest.raises(ModelError, match="data_hash is dddddddddddd, not eeeeeeeeeeee"):
        train(replace(job, identity=other_data), OPTIONS)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_a_run_can_start_from_the_averaged_weights_of_another(
    trained_run: Run, split: Split, config: Config, tmp_path: Path
) -> None:
    start = Start(trained_run.fold_folder(0), trained_run.identity(split, 0))
    job = replace(new_job(replace(config, seed=4), tmp_path, split.cases), start=start)
    state, average = begin(job, CPU), load_ema_network(start.folder, start.identity)
    assert state.step == 0
    assert equal(state.network, average)
    assert equal(state.ema_network, average)


def test_only_the_run_that_was_meant_is_started_from(
    trained_run: Run, split: Split, config: Config, tmp_path: Path
) -> None:
    folder, identity = trained_run.fold_folder(0), trained_run.identity(split, 0)
    job = new_job(config, tmp_path, split.cases)
    with pytest.raises(ModelError, match="fold is 0, not 1"):
        begin(replace(job, start=Start(folder, trained_run.identity(split, 1))), CPU)
    with pytest.raises(ModelError, match=r"checkpoint\.pt is missing; train nowhere first"):
        begin(replace(job, start=Start(tmp_path / "nowhere", identity)), CPU)
    wider = new_job(replace(config, channels=(8, 8, 8, 8, 16)), tmp_path, split.cases)
    with pytest.raises(ModelError, match="fold0 holds another network than the configuration's"):
        begin(replace(wider, start=Start(folder, identity)), CPU)


def test_the_atlas_of_the_training_cases_is_kept_with_the_network(
    cases: list[Case], config: Config, tmp_path: Path
) -> None:
    config = replace(config, atlas=True, stages=(Stage(2, 2, 2),))
    job = new_job(config, tmp_path / "first", cases[:6])
    train(job, OPTIONS)
    expected = atlas_of(cases[:6])
    np.testing.assert_array_equal(load_ema_network(job.folder, job.identity).healthy, expected)
    assert not np.array_equal(atlas_of(cases), expected)
    # Who goes on from it with other cases gets an atlas of those.
    second = begin(replace(new_job(config, tmp_path / "b", cases), start=Start(job.folder, job.identity)), CPU)
    np.testing.assert_array_equal(second.ema_network.healthy, atlas_of(cases))


def test_a_checkpoint_of_an_older_version_is_refused(cases: list[Case], config: Config, tmp_path: Path) -> None:
    torch.save({"step": 4}, tmp_path / "checkpoint.pt")
    with pytest.raises(ModelError, match="made by an older version"):
        load_ema_network(tmp_path, identity_of(config))


def test_learning_rate_warms_up_and_ends_near_zero(config: Config) -> None:
    # Stage 1 costs 4 / 4 = 1 image, stage 2 costs 4: progress before the four steps is 0, 0.1, 0.2, 0.6.
    rates = [learning_rate(config, step) for step in range(4)]
    assert rates == pytest.approx([3e-3 * 0.5, 3e-3 * 0.9, 3e-3 * 0.8, 3e-3 * 0.4])


def test_a_step_takes_its_learning_rate_and_averages_weights(cases: list[Case], config: Config, tmp_path: Path) -> None:
    state = begin(new_job(config, tmp_path, cases), CPU)
    batch = Example(torch.rand(2, 1, 64, 64), torch.rand(2, 64, 64) > 0.5, torch.tensor([0, 1]))
    before = {name: value.clone() for name, value in state.ema_network.state_dict().items()}
    loss, costs = train_step(state, batch, config, CPU)
    assert state.optimizer.param_groups[0]["lr"] == learning_rate(config, 0)
    assert state.step == 1
    assert costs.shape == (2,)
    assert 0 < costs.min() < costs.max() < 1 < loss
    # After the first step the average keeps 1 / 21 of what it was, and integers are copied.
    for name, value in state.network.state_dict().items():
        average = state.ema_network.state_dict()[name]
        expected = value if not value.is_floating_point() else before[name] / 21 + value * 20 / 21
        torch.testing.assert_close(average, expected, rtol=1e-4, atol=1e-6)
    for _ in range(199):
        state.average.update_parameters(state.network)
    state.average.update_parameters(begin(new_job(replace(config, seed=9), tmp_path, cases), CPU).network)
    # Later it keeps what the configuration says, 0.9.
    other = begin(new_job(replace(config, seed=9), tmp_path, cases), CPU).network
    expected = 0.9 * state.network.tumour.weight + 0.1 * other.tumour.weight
    torch.testing.assert_close(state.ema_network.tumour.weight, expected, rtol=1e-4, atol=1e-6)


def test_a_gpu_that_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == pick_device("cpu") == CPU
    with pytest.raises(ConfigError, match="PyTorch finds no CUDA GPU"):
        pick_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto") == pick_device("cuda") == torch.device("cuda")
