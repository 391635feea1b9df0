"""One experiment is one TOML file, which states what differs from the defaults; these are its fields."""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from mipseg.errors import ConfigError
from mipseg.settings import describe

STRICT = ConfigDict(extra="forbid")
CONFIGS = Path(__file__).parent / "configs"  # the experiments that ship with the code

Name = Annotated[str, Field(pattern=r"^[\w-]{1,64}$")]  # it becomes the name of folders
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, config=STRICT)
class Stage:
    """A part of the schedule.

    Attributes:
        downscale: factor by which images are averaged down: 1 trains at full resolution, 2 at a quarter of the cost.
        images: how many augmented images the stage sees.
        batch: images in one step.
    """

    downscale: Positive
    images: Positive
    batch: Positive

    @property
    def steps(self) -> int:
        """Optimiser steps in this stage."""
        return self.images // self.batch

    @property
    def cost(self) -> float:
        """Work of the stage, in full-resolution images."""
        return self.images / self.downscale**2


@dataclass(frozen=True, config=STRICT)
class Config:
    """Everything that decides a training run besides the data.

    Attributes:
        name: name of the run and of the model folder that is exported.
        init_from: name of the run whose weights, of the same fold, this one starts from; "" for random weights.
        ensemble: runs whose networks are averaged with this one's: those of the same fold where it is judged,
            those of other folds where it ships.
        seed: seed of the weights and of every random draw.
        pixel_unshuffle: pixels per side that the network folds into channels, see `UNet`.
        channels: feature channels of each level of the network.
        atlas: whether the network also sees what intensity is usual at each place, see `mipseg.model.atlas`.
        learning_rate: peak of the schedule (linear warm-up, then linear to zero over the cost).
        weight_decay: AdamW's.
        warmup_steps: steps until the peak.
        ema_decay: decay of the averaged weights, which are the ones that are evaluated and shipped.
        patient_fraction: share of drawn images that are patients; the rest are controls.
        hard_mining_fraction: share of the draws in which a case counts by its cost so far; the rest are
            uniform, see `mipseg.training.augment.learn`.
        window_jitter: how far the top of the SUV window is changed, as the log of a factor, up and down.
        compose_patients: share of patients that get another patient's lesions added.
        compose_controls: share of controls that get a patient's lesions, and so become patients.
        cross_entropy: weight of the pixels' cross-entropy beside the Dice loss, whose weight is 1.
        image_dice: share of the Dice loss that is taken image by image; the rest takes the batch as one image.
        refit_images: images of the last pass, on all cases, of each network that ships; 0: the folds' networks ship.
        stages: the schedule, in order.
    """

    name: Name
    init_from: Annotated[str, Field(pattern=r"^[\w-]{0,64}$")] = ""
    ensemble: tuple[Name, ...] = ()
    seed: int = 8
    pixel_unshuffle: Positive = 2
    channels: Annotated[tuple[Positive, ...], Field(min_length=3)] = (16, 16, 32, 64, 128, 256)
    atlas: bool = True
    learning_rate: float = 2e-3
    weight_decay: float = 2e-2
    warmup_steps: Positive = 200
    ema_decay: Share = 0.998
    patient_fraction: Share = 0.6
    hard_mining_fraction: Share = 0.3
    window_jitter: float = 0.55
    compose_patients: Share = 0.4
    compose_controls: Share = 0.45
    cross_entropy: float = 6.0
    image_dice: Share = 0.5
    refit_images: int = 6000
    # What is healthy is learned on small images, which cost a quarter; outlines on full ones.
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)] = (Stage(2, 14000, 4), Stage(1, 18000, 4))

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole schedule."""
        return sum(stage.steps for stage in self.stages)


def load_config(path: Path) -> Config:
    """Read an experiment.

    Raises:
        ConfigError: there is no such file, or what it says can't be.
    """
    try:
        return TypeAdapter(Config).validate_python(tomllib.loads(path.read_text()))
    except ValidationError as error:
        raise ConfigError(f"{path}: {describe(error)}") from error
    except OSError as error:
        raise ConfigError(f"can't read {path}: {error.strerror}") from error
    except ValueError as error:  # TOML's and Unicode's
        raise ConfigError(f"{path}: {error}") from error
