"""The training loop of one network: without one fold, or on all cases."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from mipseg.errors import ConfigError, ModelError
from mipseg.io.dataset import Case
from mipseg.model.atlas import AtlasGrid, make_atlas
from mipseg.model.preprocess import match_window
from mipseg.training.augment import Example, learn, make_sampler
from mipseg.training.batches import draw_batches
from mipseg.training.checkpoint import (
    CHECKPOINT,
    State,
    load_ema_network,
    make_network,
    restore_checkpoint,
    save_checkpoint,
)
from mipseg.training.config import Config, Stage
from mipseg.training.identity import Identity
from mipseg.training.loss import training_loss
from mipseg.training.monitor import Monitor
from mipseg.training.network import UNet

Tensors: TypeAlias = tuple[Tensor, ...] | list[Tensor]

GRADIENT_NORM = 5.0
COST_STEPS = 8  # steps between two readings of what images cost: each makes a GPU wait


class TimeIsUpError(Exception):
    """The time that was given is over; the checkpoint is written, and the same call goes on from it."""


@dataclass(frozen=True)
class Start:
    """The finished network to start from.

    Attributes:
        folder: holds its checkpoint.
        identity: the one that it must have.
    """

    folder: Path
    identity: Identity


@dataclass(frozen=True)
class Job:
    """One network to train.

    Attributes:
        config: the experiment.
        identity: kept with the network; a checkpoint of another is refused.
        folder: where checkpoints and TensorBoard logs go.
        cases: those to train on, all of which the network will have seen.
        validation: cases that it does not see, to watch it by; may be empty.
        start: None: random weights.
    """

    config: Config
    identity: Identity
    folder: Path
    cases: Sequence[Case]
    validation: Sequence[Case] = ()
    start: Start | None = None


@dataclass(frozen=True)
class Options:
    """How to train; changes nothing of what is learned, but for the order of random numbers.

    Attributes:
        device: where the network lives.
        workers: processes that draw images, see `choose_workers`.
        deadline: value of `time.monotonic` from which to stop.
        checkpoint_steps: steps between two checkpoints.
        validation_seconds: time between two validations.
    """

    device: torch.device
    workers: int = 0
    deadline: float = math.inf
    checkpoint_steps: int = 100
    validation_seconds: float = 300


def train(job: Job, options: Options) -> UNet:
    """Train to the end of the schedule, from the last checkpoint if there is one.

    Returns:
        The network with averaged weights, in evaluation mode.

    Raises:
        ModelError: the checkpoint in the folder, or the one to start from, belongs to another run; or the network to
            start from is missing or has another architecture.
        TimeIsUpError: the deadline came first.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    state, last = begin(job, options.device), 0
    with Monitor(job.folder, job.config.steps, job.validation, options.validation_seconds) as monitor:
        for stage in job.config.stages:
            last += stage.steps
            if state.step < last:
                _train_until(last, stage, job, options, state, monitor)
    return state.ema_network


def begin(job: Job, device: torch.device) -> State:
    """The state that a job's checkpoint holds, or that of a network with no step made; see `train`."""
    config = job.config
    torch.manual_seed(config.seed)
    network: UNet = make_network(config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    resumes = (job.folder / CHECKPOINT).is_file()
    if job.start is not None and not resumes:
        _start_from(network, job.start)
    if network.atlas is not None and not resumes:
        network.atlas.copy_(torch.from_numpy(atlas_of(job.cases)))
    state = State(
        network,
        AveragedModel(network, multi_avg_fn=_averaging(config.ema_decay), use_buffers=True),
        torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True),
        torch.ones(len(job.cases)).share_memory_(),
    )
    state.average.update_parameters(network)  # the average begins with the weights at the start
    if resumes:
        restore_checkpoint(state, job.folder, job.identity, device)
    return state


def _start_from(network: UNet, start: Start) -> None:
    weights = load_ema_network(start.folder, start.identity).state_dict()
    own = network.state_dict()
    if {name: value.shape for name, value in weights.items()} != {name: value.shape for name, value in own.items()}:
        raise ModelError(f"{start.folder} holds another network than the configuration's")
    network.load_state_dict(weights)


def _averaging(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """An exponential moving average that follows faster in the first steps; integers are copied."""

    @torch.no_grad()
    def update(averages: Tensors, currents: Tensors, count: Tensor | int) -> None:
        step = torch.as_tensor(count)  # on the device: a GPU is not waited for
        weight = 1 - (step / (step + 20)).clamp(max=decay)
        for average, current in zip(averages, currents, strict=True):
            if average.is_floating_point():
                average.lerp_(current, weight)
            else:
                average.copy_(current)

    return update


def learning_rate(config: Config, step: int) -> float:
    """Of the step that follows `step` others: a linear warm-up, then linear to zero over the cost of the schedule."""
    spent, first = 0.0, 0
    for stage in config.stages:
        spent += stage.cost * min(max(step - first, 0) / stage.steps, 1)
        first += stage.steps
    warm = min(1.0, (step + 1) / config.warmup_steps)
    return config.learning_rate * warm * (1 - spent / sum(stage.cost for stage in config.stages))


def _train_until(last: int, stage: Stage, job: Job, options: Options, state: State, monitor: Monitor) -> None:
    """Train to the end of a stage, which is at step `last`; or to the deadline."""
    config = job.config
    sampler = make_sampler(job.cases, state.network.healthy, stage.downscale, config, state.costs)
    # A new stream of draws for each start: a stream that began again would repeat the same images.
    batches = draw_batches(sampler, stage.batch, (config.seed, state.step), options.workers, options.device)
    seen: list[tuple[Tensor, Tensor]] = []  # numbers of the cases, and what they cost, since the last reading
    while state.step < last:
        batch = next(batches)
        loss, costs = train_step(state, batch, config, options.device)
        seen.append((batch.case, costs))
        late = time.monotonic() >= options.deadline and state.step < config.steps
        saves = late or state.step == last or state.step % options.checkpoint_steps == 0
        if saves or state.step % COST_STEPS == 0:
            learn(state.costs, torch.cat([case for case, _ in seen]), torch.cat([cost for _, cost in seen]))
            seen.clear()
        if saves:
            save_checkpoint(state, job.folder, job.identity)
            monitor.show(state.step, {"loss": loss.item(), "learning_rate": learning_rate(config, state.step)})
        monitor.advance(state, stage.batch, options.device, ends=late or state.step == config.steps)
        if late:
            raise TimeIsUpError(f"stopped at step {state.step} of {config.steps} of {job.folder}")


def train_step(state: State, batch: Example, config: Config, device: torch.device) -> tuple[Tensor, Tensor]:
    """One step of the optimiser; returns the loss, and (B,) what each image cost."""
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(config, state.step)
    images = batch.image.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)
    masks = batch.mask.to(device, non_blocking=True)[:, None].float()
    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16_is_fast(device)):
        output = state.network(images)
    loss, costs = training_loss(output, masks, config.cross_entropy, config.image_dice)
    loss.backward()
    nn.utils.clip_grad_norm_(state.network.parameters(), GRADIENT_NORM)
    state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)
    state.average.update_parameters(state.network)
    state.step += 1
    return loss.detach(), costs.detach()


def atlas_of(cases: Sequence[Case]) -> AtlasGrid:
    """The atlas of the healthy body that the controls among the cases give."""
    return make_atlas([match_window(case.intensity) for case in cases if not case.has_tumour])


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
