"""The training loop of one network: without one fold, or on all cases."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np
import numpy.typing as npt
import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mipseg.errors import ConfigError, ModelError
from mipseg.io.dataset import Case
from mipseg.model.inference import infer
from mipseg.training.augment import Batch, Sampler
from mipseg.training.checkpoint import CHECKPOINT, State, make_network, restore_checkpoint, save_checkpoint
from mipseg.training.config import BOTH, Config
from mipseg.training.geometry import Random
from mipseg.training.identity import Identity
from mipseg.training.loss import training_loss
from mipseg.training.monitor import Monitor
from mipseg.training.network import SegmentationNetwork
from mipseg.training.predict import as_networks
from mipseg.training.stock import Stock, make_stock

GRADIENT_NORM = 5.0
STREAM = 1_000_003  # apart from any number of steps: seeds of different runs never share a stream


class TimeIsUpError(Exception):
    """The time that was given is over, or someone asked to stop; the same call goes on from the checkpoint."""


@dataclass(frozen=True)
class NetworkTask:
    """One network to train.

    Attributes:
        config: the experiment.
        identity: kept with the network; a checkpoint of another is refused.
        folder: where checkpoints and TensorBoard logs go.
        cases: those to train on, all of which the network will have seen.
        unlabelled: patients without reference.
        validation: cases that it does not see, to watch it by; may be empty.
    """

    config: Config
    identity: Identity
    folder: Path
    cases: Sequence[Case]
    unlabelled: Sequence[Case] = ()
    validation: Sequence[Case] = ()


@dataclass(frozen=True)
class Options:
    """How to train; changes nothing of what is learned, but for the order of random numbers.

    Attributes:
        device: where the network and the images live.
        deadline: value of `time.monotonic` from which to stop.
        checkpoint_seconds: time between two checkpoints.
        validation_seconds: time between two validations.
        bar: whether to show a progress bar.
    """

    device: torch.device
    deadline: float = math.inf
    checkpoint_seconds: float = 60
    validation_seconds: float = 300
    bar: bool = True


def train(task: NetworkTask, options: Options) -> SegmentationNetwork:
    """Train to the end of the schedule, from the last checkpoint if there is one.

    Returns:
        The network with averaged weights, in evaluation mode.

    Raises:
        ModelError: the checkpoint in the folder belongs to another run or can't be written, another process trains this
            network, or its loss is no number any more.
        TimeIsUpError: the deadline came first, or Ctrl-C or SIGTERM.
    """
    task.folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(task.folder / "lock", timeout=0):
            return _train(task, options)
    except Timeout:
        raise ModelError(f"{task.folder} is being trained by another process") from None


def _train(task: NetworkTask, options: Options) -> SegmentationNetwork:
    config, state = task.config, begin(task, options.device)
    if state.step < config.steps:
        stock = make_stock(task.cases, task.unlabelled, options.device)
        if state.labels:
            _set_labels(state, stock, task)
        with Monitor(task.folder, config.steps, task.validation, options.validation_seconds, options.bar) as monitor:
            _train_on(stock, task, options, state, monitor)
    return state.ema_network


def begin(task: NetworkTask, device: torch.device) -> State:
    """The state that a task's checkpoint holds, or that of a network with no step made; see `train`."""
    config = task.config
    torch.manual_seed(config.seed)
    network: SegmentationNetwork = make_network(config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = State(
        network,
        AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay), use_buffers=True),
        torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True),
    )
    state.average.update_parameters(network)  # the average begins with the weights at the start
    if (task.folder / CHECKPOINT).is_file():
        restore_checkpoint(state, task.folder, task.identity, device)
    return state


def learning_rate(config: Config, step: int) -> float:
    """Of the step that follows `step` others: a linear warm-up, then linear to zero."""
    return config.learning_rate * min(1.0, (step + 1) / config.warmup_steps) * (1 - step / config.steps)


def _train_on(stock: Stock, task: NetworkTask, options: Options, state: State, monitor: Monitor) -> None:
    """Train to the end of the schedule, to the deadline, or until asked to stop."""
    config, device = task.config, options.device
    # A new stream of draws for each start: a stream that began again would repeat the same images.
    sampler = Sampler(stock, config, Random(STREAM * config.seed + state.step, device))
    saved = time.monotonic()
    with asked_to_stop() as is_asked:
        while state.step < config.steps:
            if task.unlabelled and state.step in config.label_steps:
                state.labels = label(state.ema_network, task.unlabelled, device)
                _set_labels(state, stock, task)
            batch = sampler.draw(config.batch, config.unlabelled_fraction if state.labels else 0)
            loss = train_step(state, batch, config)
            now, ends = time.monotonic(), state.step == config.steps
            late = (now >= options.deadline or is_asked()) and not ends
            if late or ends or now - saved >= options.checkpoint_seconds:
                _check_finite(state, loss, task.folder)
                save_checkpoint(state, task.folder, task.identity)
                monitor.show(state.step, {"loss": loss.item(), "learning_rate": learning_rate(config, state.step)})
                saved = now
            monitor.advance(state, config.batch, device, ends=late or ends)
            if late:
                raise TimeIsUpError(f"stopped at step {state.step} of {config.steps} of {task.folder}")


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM end a training only after its checkpoint is written; a second one ends it at once.

    Yields:
        A function that says whether one came.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # no other gets signals
        yield asked.is_set
        return

    def on_signal(number: int, _: FrameType | None) -> None:
        asked.set()
        signal.signal(number, before[signal.Signals(number)])

    # Not those that are ignored, as what a shell starts with "&" ignores Ctrl-C.
    heard = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, on_signal) for number in heard}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_finite(state: State, loss: Tensor, folder: Path) -> None:
    weights = (parameter.isfinite().all().item() for parameter in state.network.parameters())
    if not (loss.isfinite().item() and all(weights)):
        raise ModelError(
            f"{folder}: training has diverged, the loss of step {state.step} is {loss.item():g}; a lower learning rate "
            "may help. The last checkpoint is as it was"
        )


def train_step(state: State, batch: Batch, config: Config) -> Tensor:
    """One step of the optimiser; returns the loss."""
    device = batch.image.device
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(config, state.step)
    images = batch.image.contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16_is_fast(device)):
        output = state.network(images)
    loss = training_loss(output, batch.target, config.cross_entropy, config.image_dice)
    loss.backward()
    nn.utils.clip_grad_norm_(state.network.parameters(), GRADIENT_NORM)
    state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)
    state.average.update_parameters(state.network)
    state.step += 1
    return loss.detach()


def label(network: SegmentationNetwork, cases: Sequence[Case], device: torch.device) -> list[npt.NDArray[np.uint8]]:
    """What a network says of patients without reference, sharpened: p² / (p² + (1 - p)²), (H, W) uint8 of 255 each."""
    labels = []
    for case in cases:
        probability, _ = infer(case.intensity, as_networks(network, BOTH, device))
        certain = probability**2
        labels.append(np.rint(255 * certain / (certain + (1 - probability) ** 2)).astype(np.uint8))
    return labels


def _set_labels(state: State, stock: Stock, task: NetworkTask) -> None:
    stock.set_targets(range(len(task.cases), len(task.cases) + len(task.unlabelled)), state.labels)


def bfloat16_is_fast(device: torch.device) -> bool:
    """Whether bfloat16 beats float32: on GPUs and CPUs that have it. Others emulate it, many times slower."""
    able = torch.cpu.get_capabilities()
    return device.type == "cuda" or bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def pick_device(name: str) -> torch.device:
    """The device of a name: `cuda`, `cpu`, or `auto`: a CUDA GPU where there is one, else the CPU.

    Raises:
        ConfigError: `cuda` is wanted, and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: PyTorch finds no CUDA GPU here; --device auto takes the CPU then")
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
