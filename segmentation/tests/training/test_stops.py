"""How a training ends before its end: asked to, diverged, on a full disk, or since another one is at work."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: uv sync --extra train")

from filelock import FileLock  # noqa: E402

from mipseg.errors import ModelError  # noqa: E402
from mipseg.io.dataset import Case  # noqa: E402
from mipseg.training import train as module  # noqa: E402
from mipseg.training.augment import Batch  # noqa: E402
from mipseg.training.checkpoint import State, load_ema_network  # noqa: E402
from mipseg.training.config import Config  # noqa: E402
from mipseg.training.train import TimeIsUpError, train, train_step  # noqa: E402
from tests.training.tasks import EVERY_STEP, OPTIONS, before_steps, checkpoint, identity_of, interrupt, new_task  # noqa: E402


@pytest.fixture(autouse=True)
def _hears_ctrl_c() -> Iterator[None]:
    """Tests may run in a process that ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_training_after_its_checkpoint(
    cases: list[Case], config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    handler = signal.getsignal(number)

    before_steps(monkeypatch, lambda step: signal.raise_signal(number) if step == 1 else None)
    with pytest.raises(TimeIsUpError, match="stopped at step 2 of 4"):
        train(new_task(config, tmp_path, cases), OPTIONS)
    assert checkpoint(tmp_path)["step"] == 2
    assert signal.getsignal(number) is handler
    monkeypatch.undo()
    train(new_task(config, tmp_path, cases), OPTIONS)
    assert checkpoint(tmp_path)["step"] == 4


def test_a_second_ctrl_c_ends_it_at_once(
    cases: list[Case], config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press_twice(_: int) -> None:
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)

    before_steps(monkeypatch, press_twice)
    with pytest.raises(KeyboardInterrupt):
        train(new_task(config, tmp_path, cases), OPTIONS)


def test_who_ignores_ctrl_c_goes_on(
    cases: list[Case], config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_steps(monkeypatch, lambda _: signal.raise_signal(signal.SIGINT))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    train(new_task(config, tmp_path, cases), OPTIONS)
    assert checkpoint(tmp_path)["step"] == 4


def test_what_diverged_is_not_saved(
    cases: list[Case], config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverges(state: State, batch: Batch, config: Config) -> object:
        if state.step == 2:
            batch = Batch(batch.image * torch.nan, batch.target)
        return train_step(state, batch, config)

    monkeypatch.setattr(module, "train_step", diverges)
    with pytest.raises(ModelError, match="training has diverged, the loss of step 3 is nan; a lower learning rate"):
        train(new_task(config, tmp_path, cases), EVERY_STEP)
    assert checkpoint(tmp_path)["step"] == 2


def test_a_network_is_trained_by_one_process(cases: list[Case], config: Config, tmp_path: Path) -> None:
    task = new_task(config, tmp_path, cases)
    with FileLock(tmp_path / "lock"), pytest.raises(ModelError, match="is being trained by another process"):
        train(task, OPTIONS)
    train(task, OPTIONS)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("enforce fail\nstack")])
def test_a_full_disk_keeps_the_last_checkpoint(
    cases: list[Case], config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    task = new_task(config, tmp_path, cases)
    interrupt(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt):
        train(task, EVERY_STEP)
    monkeypatch.undo()

    def full(_: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise error

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(ModelError, match=r"can't write .*checkpoint\.pt; is the disk full\? \(.*[^\n]*\)$"):
        train(task, EVERY_STEP)
    assert checkpoint(tmp_path)["step"] == 1
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_damaged_checkpoint_is_named(cases: list[Case], config: Config, tmp_path: Path, size: int) -> None:
    train(new_task(config, tmp_path, cases), OPTIONS)
    file = tmp_path / "checkpoint.pt"
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(ModelError, match=r"checkpoint\.pt is damaged \(.*\); remove it and train again"):
        load_ema_network(tmp_path, identity_of(config))
    with pytest.raises(ModelError, match="is damaged"):
        train(new_task(config, tmp_path, cases), OPTIONS)
