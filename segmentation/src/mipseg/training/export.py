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
from mipseg.model.classify import Classifier, features
from mipseg.model.folder import CONFIG, ModelConfig, NetworkFile
from mipseg.model.inference import infer
from mipseg.model.postprocess import binarise_if_patient
from mipseg.model.segmenter import MODELS, Segmenter
from mipseg.phantom import make_phantom
from mipseg.training.checkpoint import ARCHITECTURE, load_ema_network
from mipseg.training.config import View
from mipseg.training.evaluate import read_report
from mipseg.training.model_card import REPORT, card_report, write_card
from mipseg.training.network import SegmentationNetwork
from mipseg.training.onnx_file import to_onnx
from mipseg.training.predict import as_networks
from mipseg.training.robustness import read_robustness
from mipseg.training.runs import Run
from mipseg.training.split import Split
from mipseg.types import Intensity

PHANTOMS = 4
MIN_AGREEMENT = 0.98  # Dice between the masks of PyTorch and of the exported networks, whose weights are rounded
MAX_DIFFERENCE = 0.05  # between their probabilities, of each pixel and of a tumour anywhere
CPU = torch.device("cpu")


class Member(NamedTuple):
    """A network of the ensemble that ships.

    Attributes:
        run: where it comes from.
        network: in evaluation mode, on the CPU.
        view: what it sees.
        onnx: its ONNX file.
    """

    run: Run
    network: SegmentationNetwork
    view: View
    onnx: bytes


def export(run: Run, split: Split, models: Path = MODELS) -> Path:
    """Write the model folder of a run.

    Args:
        run: with its checkpoints, `report.json` and maybe `robustness.json`.
        split: the whole data set; on every twentieth case PyTorch and ONNX are compared.
        models: where model folders live.

    Returns:
        The model folder.

    Raises:
        ModelError: a network was not trained, the run was not evaluated, what is there belongs to another run, or
            PyTorch and the exported networks disagree. The model folder is then as it was before.
    """
    report = read_report(run, split) | {"robustness": read_robustness(run)}
    members, folder = load_members(run, split), models / run.config.name
    phantoms = [intensity_of_image(make_phantom(seed).mip) for seed in range(PHANTOMS)]
    write_model(folder, members, report, [*phantoms, *(case.intensity for case in split.cases[::20])])
    return folder


def load_members(run: Run, split: Split) -> list[Member]:
    """Read the networks that saw all cases, of a run and of its ensemble, and turn them into ONNX files.

    Raises:
        ModelError: a network was not trained, or belongs to another run.
    """
    members = []
    for member in run.members:
        network = load_ema_network(member.network_folder(None), member.identity(split, None))
        onnx = to_onnx(network)
        members += [Member(member, network, view, onnx) for view in member.config.views]
    return members


def write_model(
    folder: Path, members: Sequence[Member], report: Mapping[str, Any], images: Iterable[Intensity]
) -> None:
    """Write networks, configuration, report and model card, and check them, before they replace the folder.

    Args:
        folder: the model folder; its name is the model's.
        members: those that are averaged.
        report: see `evaluate`, and `robustness`, which may be None.
        images: PyTorch and ONNX are compared on these.

    Raises:
        ModelError: they disagree; the folder is then as it was before.
    """
    with replaced(folder) as fresh:
        config = ModelConfig(
            name=folder.name,
            networks=tuple(_write_network(fresh, number, member) for number, member in enumerate(members)),
            **report["decoding"],
            classifier=Classifier(**report["classifier"]),
        )
        architectures = {member.run.config.name: _architecture(member) for member in members}
        _write_json(fresh / CONFIG, asdict(config))
        _write_json(fresh / REPORT, card_report(report, architectures))
        write_card(fresh)
        _check_agreement(members, Segmenter(fresh), images)


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
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


def _write_network(folder: Path, number: int, member: Member) -> NetworkFile:
    file = folder / f"network-{number}.onnx"
    file.write_bytes(member.onnx)
    return NetworkFile(file.name, _sha256(file), member.run.config.name, member.view == "mirrored")


def _architecture(member: Member) -> dict[str, Any]:
    made_of = {name: getattr(member.run.config, name) for name in ARCHITECTURE}
    return made_of | {"parameters": sum(part.numel() for part in member.network.parameters())}


def _write_json(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=1) + "\n")


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _check_agreement(members: Sequence[Member], segmenter: Segmenter, images: Iterable[Intensity]) -> None:
    config = segmenter.config
    originals = [network for member in members for network in as_networks(member.network, [member.view], CPU)]
    for number, image in enumerate(images):
        probability, logit = infer(image, originals)
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
