"""From the checkpoints of a run to the model folder that ships."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from mipseg.errors import ModelError
from mipseg.io.arrays import intensity_of_image
from mipseg.metrics import dice_score
from mipseg.model.atlas import AtlasGrid
from mipseg.model.classify import Classifier, features
from mipseg.model.folder import ATLAS, CONFIG, ModelConfig, NetworkFile
from mipseg.model.inference import infer
from mipseg.model.postprocess import binarise_if_patient
from mipseg.model.segmenter import MODELS, Segmenter
from mipseg.phantom import make_phantom
from mipseg.training.config import Config
from mipseg.training.model_card import REPORT, card_report, write_card
from mipseg.training.network import UNet
from mipseg.training.onnx_file import to_onnx
from mipseg.training.predict import as_network
from mipseg.training.refit import refit_folders, source_folders
from mipseg.training.train import atlas_of, load_architecture, load_ema_network
from mipseg.types import Intensity

PHANTOMS = 4
FAST = 2  # networks of the fast setting: with two runs one of each, and one of them sees the mirror image
MIN_AGREEMENT = 0.98  # Dice between the masks of PyTorch and of the exported networks, whose weights are rounded
MAX_DIFFERENCE = 0.05  # between their probabilities, of each pixel and of a tumour anywhere
CPU = torch.device("cpu")


class Member(NamedTuple):
    """A network of the ensemble that ships.

    Attributes:
        folder: of its checkpoint.
        run, fold, refit, mirrored, fast: see `NetworkFile`.
    """

    folder: Path
    run: str
    fold: int
    refit: bool
    mirrored: bool
    fast: bool


class Exported(NamedTuple):
    """A member's network, in evaluation mode on the CPU, and its ONNX file."""

    member: Member
    network: UNet
    onnx: bytes


def export(cases: Sequence[Case], config: Config, run: Path, models: Path = MODELS) -> Path:
    """Write the model folder of a run.

    Args:
        cases: the whole data set, whose controls make the atlas; on every twentieth PyTorch and ONNX are compared.
        config: the experiment.
        run: folder of the run, with its checkpoints, `report.json` and maybe `robustness.json`.
        models: where model folders live.

    Returns:
        The model folder.

    Raises:
        ModelError: a network was not trained, the run was not evaluated, or PyTorch and the exported networks disagree.
            The model folder is then as it was before.
    """
    report, folder = read_report(run), models / config.name
    networks = load_members(ensemble_members(config, run))
    atlas = atlas_of(cases) if any(exported.network.in_channels > 1 for exported in networks) else None
    phantoms = [intensity_of_image(make_phantom(seed).mip) for seed in range(PHANTOMS)]
    write_model(folder, networks, atlas, report, [*phantoms, *(case.intensity for case in cases[::20])])
    return folder


def read_report(run: Path) -> dict[str, Any]:
    """A run's report and under `robustness` what was measured of that, or None.

    Raises:
        ModelError: the run was not evaluated.
    """
    file, robustness = run / "report.json", run / "robustness.json"
    if not file.is_file():
        raise ModelError(f"{file} is missing; run `evaluate` first")
    report: dict[str, Any] = json.loads(file.read_text())
    return report | {"robustness": json.loads(robustness.read_text()) if robustness.is_file() else None}


def ensemble_members(config: Config, run: Path) -> list[Member]:
    """The networks that ship; every second one sees the mirror image."""
    pairs = zip(source_folders(config, run), refit_folders(config, run), strict=True)
    return [
        Member(
            folder,
            run=source.parent.name,
            fold=int(source.name.removeprefix("fold")),
            refit=folder != source,
            mirrored=number % 2 == 1,
            fast=number < FAST,
        )
        for number, (source, folder) in enumerate(pairs)
    ]


def load_members(members: Sequence[Member]) -> list[Exported]:
    """Read the checkpoints and turn them into ONNX files.

    Raises:
        ModelError: a network was not trained.
    """
    networks = [load_ema_network(member.folder) for member in members]
    return [Exported(member, network, to_onnx(network)) for member, network in zip(members, networks, strict=True)]


def write_model(
    folder: Path,
    networks: Sequence[Exported],
    atlas: AtlasGrid | None,
    report: Mapping[str, Any],
    images: Iterable[Intensity],
) -> None:
    """Write networks, atlas, configuration, report and model card, and check them, before they replace the folder.

    Args:
        folder: the model folder; its name is the model's.
        networks: those that are averaged.
        atlas: None if no network wants one.
        report: see `read_report`.
        images: PyTorch and ONNX are compared on these.

    Raises:
        ModelError: they disagree; the folder is then as it was before.
    """
    with replaced(folder) as fresh:
        if atlas is not None:
            np.save(fresh / ATLAS, atlas)
        config = ModelConfig(
            name=folder.name,
            networks=tuple(_write_network(fresh, number, exported) for number, exported in enumerate(networks)),
            atlas=None if atlas is None else _sha256(fresh / ATLAS),
            **report["decoding"],
            classifier=Classifier(**report["classifier"]),
        )
        architectures = {
            member.run: {
                **load_architecture(member.folder),
                "parameters": sum(part.numel() for part in network.parameters()),
            }
            for member, network, _ in networks
        }
        _write_json(fresh / CONFIG, asdict(config))
        _write_json(fresh / REPORT, card_report(report, architectures))
        write_card(fresh)
        _check_agreement(networks, atlas, Segmenter(fresh), images)


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """A new folder beside another, which takes its place at the end.

    If anything goes wrong meanwhile, the new one is removed and the other one stays. What a killed process left behind
    is put right at the next call.
    """
    fresh, earlier = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.earlier")
    if earlier.exists() and not folder.exists():
        earlier.rename(folder)
    for left in (fresh, earlier):
        shutil.rmtree(left, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        yield fresh
        if folder.exists():
            folder.rename(earlier)
        fresh.rename(folder)
    except BaseException:
        if earlier.exists():
            earlier.rename(folder)
        shutil.rmtree(fresh)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


def _write_network(folder: Path, number: int, exported: Exported) -> NetworkFile:
    file, member = folder / f"network-{number}.onnx", exported.member
    file.write_bytes(exported.onnx)
    return NetworkFile(
        file=file.name,
        sha256=_sha256(file),
        run=member.run,
        fold=member.fold,
        refit=member.refit,
        in_channels=exported.network.in_channels,
        mirrored=member.mirrored,
        fast=member.fast,
    )


def _write_json(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=1) + "\n")


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _check_agreement(
    networks: Sequence[Exported], atlas: AtlasGrid | None, segmenter: Segmenter, images: Iterable[Intensity]
) -> None:
    config = segmenter.config
    originals = [as_network(exported.network, CPU, mirrored=exported.member.mirrored) for exported in networks]
    for number, image in enumerate(images):
        probability, logit = infer(image, originals, atlas)
        has_tumour = config.classifier.probability(features(probability, logit))
        tumour = binarise_if_patient(probability, has_tumour, config.temperature, config.min_peak, config.min_patient)
        exported = segmenter.segment(image)
        agreement = dice_score(tumour, exported.tumour)
        difference = max(float(np.abs(probability - exported.probability).max()), abs(has_tumour - exported.has_tumour))
        if agreement < MIN_AGREEMENT or difference > MAX_DIFFERENCE:
            raise ModelError(
                f"PyTorch and ONNX disagree on image {number}: Dice {agreement:.4f} between their masks, at least "
                f"{MIN_AGREEMENT} is wanted; probabilities differ by {difference:.4f}, at most {MAX_DIFFERENCE} may be"
            )
