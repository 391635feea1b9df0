"""One experiment is one TOML file, which states what differs from the defaults; these are its fields."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from mipseg.errors import ConfigError
from mipseg.model.preprocess import MULTIPLE
from mipseg.settings import describe

STRICT = ConfigDict(extra="forbid")
CONFIGS = Path(__file__).parent / "configs"  # the experiments that ship with the code
DEFAULT = "unet_v20"  # the one whose model ships, and which `make train` trains

Name = Annotated[str, Field(pattern=r"^[\w-]{1,64}$")]  # it becomes the name of folders
Share = Annotated[float, Field(ge=0, le=1)]
Before = Annotated[float, Field(ge=0, lt=1)]  # a part of the schedule after which there is more of it
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[int, Field(ge=1)]
View: TypeAlias = Literal["plain", "mirrored"]  # the image as it is, and its mirror image
PretrainedEncoder: TypeAlias = Literal["half", "full"]  # see `Config.encoder`
Encoder: TypeAlias = Literal["random"] | PretrainedEncoder
BOTH: tuple[View, ...] = ("plain", "mirrored")


@dataclass(frozen=True, config=STRICT)
class Config:
    """Everything that decides a training run besides the data.

    Attributes:
        name: name of the run and of the model folder that is exported.
        ensemble: runs whose networks are averaged with this one's: those of the same fold where it is judged, those
            that saw all cases where it ships.
        seed: seed of the weights and of every random draw.
        views: those that the network is judged and shipped with, each with the same
            weight in an ensemble.
        encoder: "random" for a `UNet`, whose weights all start at random; "full" or "half" for a `PretrainedUNet`, the
            encoder of which learned from photographs and sees the image at its full or at half of its resolution.
        smoothing: standard deviation, px, of the Gaussian that smooths what a pretrained encoder sees, so that fine
            texture does not matter to it; outlines are drawn from the image as it is.
        pixel_unshuffle: pixels per side that the network folds into channels, see `UNet`; a pretrained one has 2.
        channels: feature channels of each level of the network; of a pretrained one those on the way up.
        images: how many augmented images a network sees.
        batch: images in one step.
        learning_rate: peak of the schedule (linear warm-up, then linear to zero).
        weight_decay: AdamW's.
        warmup_steps: steps until the peak.
        ema_decay: decay of the averaged weights, which are the ones that are evaluated and shipped.
        patient_fraction: share of patients among drawn images with a reference; the rest are controls.
        unlabelled_fraction: share of drawn images that are of patients without reference, see `label_at`.
        label_at: parts of the schedule after which the averaged network labels the patients without reference, who are
            drawn from then on; what it says is sharpened, and replaced each time.
        window_jitter: how far the top of the SUV window is changed, as the log of a factor, up and down.
        compose_patients: share of patients that get another patient's lesions added.
        compose_controls: share of controls that get a patient's lesions, and so become patients.
        anywhere: share of the added lesions that are laid anywhere in the body, at any size, and maybe less hot.
        anywhere_tall: the same for bodies with legs, where the data set has few lesions.
        cross_entropy: weight of the pixels' cross-entropy beside the Dice loss, whose weight is 1.
        image_dice: share of the Dice loss that is taken image by image; the rest takes the batch as one image.
    """

    name: Name
    ensemble: tuple[Name, ...] = ()
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 11
    views: Annotated[tuple[View, ...], Field(min_length=1, max_length=2)] = BOTH
    encoder: Encoder = "random"
    smoothing: Annotated[float, Field(ge=0, le=4)] = 0
    pixel_unshuffle: Positive = 2
    channels: Annotated[tuple[Positive, ...], Field(min_length=3)] = (16, 32, 64, 128, 256)
    images: Positive = 90_000
    batch: Positive = 16
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 2.5e-3
    weight_decay: Weight = 2e-2
    warmup_steps: Positive = 200
    ema_decay: Share = 0.998
    patient_fraction: Share = 0.6
    unlabelled_fraction: Share = 0.25
    label_at: tuple[Before, ...] = (0.4, 0.7)
    window_jitter: Annotated[float, Field(ge=0, le=3)] = 0.6
    compose_patients: Share = 0.4
    compose_controls: Share = 0.45
    anywhere: Share = 0.35
    anywhere_tall: Share = 0.7
    cross_entropy: Weight = 6.0
    image_dice: Share = 0.5

    @model_validator(mode="after")
    def _check_pretrained(self) -> Self:
        if self.encoder != "random" and (self.pixel_unshuffle, len(self.channels)) != (2, 5):
            raise ValueError("a pretrained network has pixel_unshuffle 2 and five channels, those on the way up")
        if self.encoder == "random" and self.smoothing:
            raise ValueError("smoothing is for what a pretrained encoder sees")
        return self

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        deepest = self.pixel_unshuffle * 2 ** (len(self.channels) - 1)
        if MULTIPLE % deepest:
            raise ValueError(
                f"pixel_unshuffle and channels make a pixel of the deepest level {deepest} px wide; "
                f"it has to be a power of two, {MULTIPLE} at most"
            )
        if self.images < self.batch:
            raise ValueError(f"{self.images} images do not fill a batch of {self.batch}")
        if len(set(self.views)) < len(self.views):
            raise ValueError("views: one of them stands twice")
        return self

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole schedule."""
        return self.images // self.batch

    @property
    def label_steps(self) -> tuple[int, ...]:
        """Steps after which the patients without reference are labelled; none if they are never drawn."""
        return tuple(int(part * self.steps) for part in self.label_at) if self.unlabelled_fraction else ()


def load_config(path: Path) -> Config:
    """Read an experiment.

    Raises:
        ConfigError: there is no such file, or what it says can't be.
    """
    try:
        return TypeAdapter(Config).validate_python(tomllib.loads(path.read_text("utf-8-sig")))
    except ValidationError as error:
        raise ConfigError(f"{path}: {describe(error)}") from error
    except OSError as error:
        raise ConfigError(f"can't read {path}: {error.strerror}") from error
    except ValueError as error:  # TOML's and Unicode's
        raise ConfigError(f"{path}: {error}") from error
