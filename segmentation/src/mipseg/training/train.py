"""The training loop of one model: one fold, or all cases."""

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from mipseg.errors import ModelError
from mipseg.io.dataset import Case
from mipseg.model.atlas import AtlasGrid, make_atlas
from mipseg.model.preprocess import match_window
from mipseg.training.augment import Sampler
from mipseg.training.config import Config
from mipseg.training.loss import training_loss
from mipseg.training.network import UNet

CHECKPOINT = "checkpoint.pt"
CHECKPOINT_STEPS = 100
GRADIENT_NORM = 5.0
ARCHITECTURE = "channels", "pixel_unshuffle", "atlas"  # fields of the configuration that make the network


class Trainer:
    """Trains one network; can be stopped anywhere and goes on from its last checkpoint.

    Args:
        cases: the cases to train on, all of which the network will have seen.
        config: the experiment.
        folder: where checkpoints and TensorBoard logs go.
        device: where to train.
        start: folder of a finished run, whose averaged weights to start from; None: random weights.

    Raises:
        ModelError: there is no checkpoint in `start`; or its network, or the one to go on with, is another than the
            configuration's.
    """

    def __init__(
        self, cases: Sequence[Case], config: Config, folder: Path, device: torch.device, start: Path | None = None
    ) -> None:
        self._cases, self._config, self._folder, self._device = cases, config, folder, device
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(config.seed)
        self._rng = np.random.default_rng(config.seed)
        network = UNet(**_architecture(vars(config)))
        self.network: UNet = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        resumes = self._checkpoint.is_file()
        if start is not None and not resumes:
            self.network.load_state_dict(self._load_fitting(start)["ema_network"])
        if self.network.atlas is not None and not resumes:
            self.network.atlas.copy_(torch.from_numpy(atlas_of(cases)))
        self.ema_network = copy.deepcopy(self.network).eval()
        self._optimizer = torch.optim.AdamW(
            self.network.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self._step = 0
        if resumes:
            self._resume()

    @property
    def _checkpoint(self) -> Path:
        return self._folder / CHECKPOINT

    def _load_fitting(self, folder: Path) -> dict[str, Any]:
        state = _load(folder, self._device)
        if _architecture(state) != _architecture(vars(self._config)):
            raise ModelError(f"{folder} holds another network than the configuration's")
        return state

    def _resume(self) -> None:
        state = self._load_fitting(self._folder)
        self.network.load_state_dict(state["network"])
        self.ema_network.load_state_dict(state["ema_network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._step = state["step"]
        # A new stream of draws for each start: a stream that began again would repeat the same images.
        self._rng = np.random.default_rng((self._config.seed, self._step))

    def _save(self) -> None:
        part = self._checkpoint.with_suffix(".part")
        state = {"network": self.network, "ema_network": self.ema_network, "optimizer": self._optimizer}
        rest = _architecture(vars(self._config)) | {"step": self._step}
        torch.save({name: part.state_dict() for name, part in state.items()} | rest, part)
        os.replace(part, self._checkpoint)

    def _learning_rate(self, done: float) -> float:
        warm = min(1.0, (self._step + 1) / self._config.warmup_steps)
        return self._config.learning_rate * warm * (1 - done)

    def run(self) -> UNet:
        """Train to the end of the schedule.

        Returns:
            The network with averaged weights, in evaluation mode.
        """
        stages, first = self._config.stages, 0
        cost, spent = sum(stage.cost for stage in stages), 0.0
        with (
            SummaryWriter(str(self._folder)) as log,
            Progress() as bar,
        ):
            task = bar.add_task(self._folder.name, total=self._config.steps, completed=self._step)
            for stage in stages:
                if self._step < first + stage.steps:
                    sampler = Sampler(
                        self._cases, self.network.healthy, stage.downscale, self._config, self._rng, self._device
                    )
                while self._step < first + stage.steps:
                    done = (spent + stage.cost * (self._step - first) / stage.steps) / cost
                    rate = self._learning_rate(done)
                    loss, costs = self._train_step(*sampler.batch(stage.batch), rate)
                    sampler.learn(costs.tolist())
                    bar.advance(task)
                    if self._step % CHECKPOINT_STEPS == 0:
                        self._save()
                        log.add_scalar("loss", loss.item(), self._step)
                        log.add_scalar("learning_rate", rate, self._step)
                        bar.update(task, description=f"{self._folder.name}, loss {loss.item():.3f}")
                first, spent = first + stage.steps, spent + stage.cost
            self._save()
        return self.ema_network

    def _train_step(self, images: Tensor, masks: Tensor, rate: float) -> tuple[Tensor, Tensor]:
        """One step of the optimiser; returns the loss, and what each image cost."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(self._device.type, torch.bfloat16, enabled=bfloat16_is_fast(self._device)):
            output = self.network(images)
        loss, costs = training_loss(output, masks, self._config.cross_entropy, self._config.image_dice)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_NORM)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._step += 1
        self._update_average()
        return loss.detach(), costs.detach()

    @torch.no_grad()
    def _update_average(self) -> None:
        weight = 1 - min(self._config.ema_decay, self._step / (self._step + 20))
        for average, current in zip(
            self.ema_network.state_dict().values(), self.network.state_dict().values(), strict=True
        ):
            if average.is_floating_point():
                average.lerp_(current, weight)
            else:
                average.copy_(current)


def load_ema_network(folder: Path) -> UNet:
    """The averaged weights of a run's fold, in evaluation mode on the CPU.

    Raises:
        ModelError: there is no checkpoint, or one of an older version.
    """
    state = _load(folder, torch.device("cpu"))
    network = UNet(**_architecture(state))
    network.load_state_dict(state["ema_network"])
    return network.eval()


def load_architecture(folder: Path) -> dict[str, Any]:
    """The fields of the configuration that made the network of a run's fold: the arguments of `UNet`.

    Raises:
        ModelError: there is no checkpoint, or one of an older version.
    """
    return _architecture(_load(folder, torch.device("cpu")))


def _architecture(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in ARCHITECTURE}


def _load(folder: Path, device: torch.device) -> dict[str, Any]:
    checkpoint = folder / CHECKPOINT
    if not checkpoint.is_file():
        raise ModelError(f"{checkpoint} is missing; train {folder.name} first")
    state: dict[str, Any] = torch.load(checkpoint, map_location=device, weights_only=True)
    if not state.keys() >= set(ARCHITECTURE):
        raise ModelError(f"{folder} was trained by an older version; train it again")
    return state


def atlas_of(cases: Sequence[Case]) -> AtlasGrid:
    """The atlas of the healthy body that the controls among the cases give."""
    return make_atlas([match_window(case.intensity) for case in cases if not case.has_tumour])


def bfloat16_is_fast(device: torch.device) -> bool:
    """Whether bfloat16 beats float32: on GPUs and CPUs that have it. Others emulate it, many times slower."""
    able = torch.cpu.get_capabilities()
    return device.type == "cuda" or bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def pick_device() -> torch.device:
    """A CUDA GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
