import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]  # noqa: E402

from mipseg.errors import ConfigError, ModelError  # noqa: E402
from mipseg.io.dataset import Case  # noqa: E402
from mipseg.training import train as module  # noqa: E402
from mipseg.training.augment import Batch  # noqa: E402
from mipseg.training.checkpoint import State, load_ema_network  # noqa: E402
from mipseg.training.config import Config  # noqa: E402
from mipseg.training.identity import Identity, make_identity  # noqa: E402
from mipseg.training.network import SegmentationNetwork  # noqa: E402
from mipseg.training.runs import Run  # noqa: E402
from mipseg.training.split import Split  # noqa: E402
from mipseg.training.train import (  # noqa: E402
    NetworkTask,
    TimeIsUpError,
    begin,
    learning_rate,
    pick_device,
    train,
    train_step,
)
from tests.training.tasks import CPU, EVERY_STEP, HASHES, OPTIONS, checkpoint, identity_of, interrupt, new_task  # noqa: E402


def equal(network: SegmentationNetwork, other: SegmentationNetwork) -> bool:
    pairs = zip(network.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_training_is_repeatable_and_ends_with_a_checkpoint(
    trained_run: Run, split: Split, config: Config, tmp_path: Path
) -> None:
    folder, identity = trained_run.network_folder(0), trained_run.identity(split, 0)
    again = train(NetworkTask(config, identity, tmp_path, split.training(0)), OPTIONS)
    assert not again.training
    assert equal(again, load_ema_network(folder, identity))
    state = checkpoint(folder)
    assert state["step"] == config.steps == 4
    assert Identity(**state["identity"]) == identity
    other_seed = replace(config, seed=config.seed + 1)
    other = train(NetworkTask(other_seed, identity, tmp_path / "other", split.training(0)), OPTIONS)
    assert not equal(again, other)


def test_scores_are_in_tensorboard(trained_run: Run) -> None:
    log = EventAccumulator(str(trained_run.network_folder(0)))
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
        task = replace(new_task(config, tmp_path / name, cases), validation=validation)
        train(task, replace(OPTIONS, validation_seconds=seconds))
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
    task = new_task(config, tmp_path, cases)
    interrupt(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        train(task, EVERY_STEP)
    saved, resumed = checkpoint(tmp_path), begin(task, CPU)
    assert resumed.step == saved["step"] == 3
    for name, part in (("network", resumed.network), ("ema_network", resumed.ema_network)):
        for value, kept in zip(part.state_dict().values(), saved[name].values(), strict=True):
            assert torch.equal(value, kept), name
    assert not equal(resumed.network, resumed.ema_network)
    assert resumed.average.n_averaged == 4
    moments = resumed.optimizer.state_dict()["state"]
    assert torch.equal(moments[0]["exp_avg"], saved["optimizer"]["state"][0]["exp_avg"])
    monkeypatch.undo()
    train(task, OPTIONS)
    assert checkpoint(tmp_path)["step"] == config.steps


def test_checkpoints_are_written_now_and_then(
    cases: list[Case], config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        train(new_task(config, tmp_path, cases), replace(OPTIONS, checkpoint_seconds=1000))
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_lost_checkpoint_is_trained_anew(trained_run: Run, split: Split, config: Config, tmp_path: Path) -> None:
    identity = trained_run.identity(split, 0)
    task = NetworkTask(config, identity, tmp_path, split.training(0))
    with pytest.raises(TimeIsUpError):
        train(task, replace(OPTIONS, deadline=time.monotonic()))
    (tmp_path / "checkpoint.pt").rename(tmp_path / "checkpoint.pt.part")  # as if it had been killed while it wrote
    again = train(task, OPTIONS)
    assert equal(again, load_ema_network(trained_run.network_folder(0), identity))
    assert [file.name for file in tmp_path.glob("checkpoint*")] == ["checkpoint.pt"]


def test_a_resumed_run_draws_other_images(
    cases: list[Case], config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def noted(state: State, batch: Batch, config: Config) -> object:
        seen.append(batch.image)
        return train_step(state, batch, config)

    monkeypatch.setattr(module, "train_step", noted)
    two_steps = replace(config, images=4)
    with pytest.raises(TimeIsUpError):
        train(new_task(two_steps, tmp_path, cases), replace(OPTIONS, deadline=time.monotonic()))
    train(new_task(two_steps, tmp_path, cases), OPTIONS)
    assert len(seen) == 2
    assert not torch.equal(seen[0], seen[1])


def test_time_that_is_up_stops_after_a_checkpoint_and_a_validation(
    cases: list[Case], config: Config, tmp_path: Path
) -> None:
    task = replace(new_task(config, tmp_path, cases), validation=cases[:1])
    with pytest.raises(TimeIsUpError, match=f"stopped at step 1 of 4 of {tmp_path}"):
        train(task, replace(OPTIONS, deadline=time.monotonic()))
    assert checkpoint(tmp_path)["step"] == 1
    log = EventAccumulator(str(tmp_path))
    log.Reload()
    assert [scalar.step for scalar in log.Scalars("validation_dice")] == [1]
    # The last step is made whatever the time.
    with pytest.raises(TimeIsUpError):
        train(task, replace(OPTIONS, deadline=time.monotonic()))
    with pytest.raises(TimeIsUpError):
        train(task, replace(OPTIONS, deadline=time.monotonic()))
    train(task, replace(OPTIONS, deadline=time.monotonic()))
    assert checkpoint(tmp_path)["step"] == 4


def test_another_run_is_refused_by_name(cases: list[Case], config: Config, tmp_path: Path) -> None:
    task = new_task(config, tmp_path, cases)
    with pytest.raises(TimeIsUpError):
        train(task, replace(OPTIONS, deadline=time.monotonic()))
    before = (tmp_path / "checkpoint.pt").read_bytes()
    changes: dict[str, dict[str, Any]] = {
        r"config\.learning_rate is 0\.003, not 0\.1": {"learning_rate": 0.1},
        r"config\.seed is 3, not 4": {"seed": 4},
    }
    for words, change in changes.items():
        with pytest.raises(ModelError, match=words):
            train(new_task(replace(config, **change), tmp_path, cases), OPTIONS)
    with pytest.raises(ModelError, match="data_hash is dddddddddddd, not eeeeeeeeeeee"):
        train(replace(task, identity=make_identity(config, HASHES._replace(data_hash="e" * 64), None)), OPTIONS)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_checkpoints_that_are_missing_or_old_are_refused(config: Config, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"checkpoint\.pt is missing; train that network first"):
        load_ema_network(tmp_path, identity_of(config))
    torch.save({"step": 4}, tmp_path / "checkpoint.pt")
    with pytest.raises(ModelError, match="made by an older version"):
        load_ema_network(tmp_path, identity_of(config))


def test_learning_rate_warms_up_and_ends_near_zero(config: Config) -> None:
    # Two steps of warm-up; linear to zero over all four.
    rates = [learning_rate(config, step) for step in range(4)]
    assert rates == pytest.approx([3e-3 * 0.5, 3e-3 * 0.75, 3e-3 * 0.5, 3e-3 * 0.25])


def test_a_step_takes_its_learning_rate_and_averages_weights(cases: list[Case], config: Config, tmp_path: Path) -> None:
    state = begin(new_task(config, tmp_path, cases), CPU)
    batch = Batch(torch.rand(2, 1, 64, 64), (torch.rand(2, 1, 64, 64) > 0.5).float())
    before = {name: value.clone() for name, value in state.ema_network.state_dict().items()}
    assert equal(state.network, state.ema_network)
    loss = train_step(state, batch, config)
    assert state.optimizer.param_groups[0]["lr"] == learning_rate(config, 0)
    assert state.step == 1
    assert loss > 1
    assert not equal(state.network, state.ema_network)
    for name, value in state.network.state_dict().items():
        if value.is_floating_point():
            expected = 0.9 * before[name] + 0.1 * value
            assert torch.allclose(state.ema_network.state_dict()[name], expected, rtol=1e-4, atol=1e-6)
    losses = [train_step(state, batch, config).item() for _ in range(3)]
    assert losses[-1] < loss


def test_a_gpu_that_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == pick_device("cpu") == CPU
    with pytest.raises(ConfigError, match="PyTorch finds no CUDA GPU"):
        pick_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto") == pick_device("cuda") == torch.device("cuda")
