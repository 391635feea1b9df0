"""From a training checkpoint to the model folder that is shipped."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mipseg.dataset import Case
from mipseg.errors import ModelError
from mipseg.metrics import dice_score
from mipseg.phantom import make_phantom
from mipseg.postprocess import decode
from mipseg.preprocess import MULTIPLE
from mipseg.segmenter import MODELS, Segmenter
from mipseg.training.config import Config
from mipseg.training.network import UNet
from mipseg.training.predict import Mirrored, predict
from mipseg.types import Grey

PHANTOMS = 4
AGREEMENT = 0.999  # least Dice between the masks of PyTorch and of the exported model


def load_average(config: Config, folder: Path) -> UNet:
    """The averaged weights of a checkpoint, in evaluation mode on the CPU.

    Raises:
        ModelError: there is no checkpoint.
    """
    checkpoint = folder / "checkpoint.pt"
    if not checkpoint.is_file():
        raise ModelError(f"{checkpoint} is missing; train on all cases first")
    network = UNet(config.channels)
    network.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["average"])
    return network.eval()


def write_onnx(network: UNet, file: Path) -> None:
    """Write the mirrored network as one ONNX file with free height and width (multiples of 32)."""
    example = torch.zeros(1, 1, 8 * MULTIPLE, 4 * MULTIPLE)
    height, width = torch.export.Dim("rows", min=1, max=512), torch.export.Dim("columns", min=1, max=512)
    torch.onnx.export(
        Mirrored(network).eval(),
        (example,),
        str(file),
        input_names=["uptake"],
        output_names=["tumour", "patient"],
        dynamic_shapes=({2: MULTIPLE * height, 3: MULTIPLE * width},),
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def export(cases: Sequence[Case], config: Config, run: Path, models: Path = MODELS) -> Path:
    """Write the model folder of a run: `model.onnx` and `config.json`.

    Args:
        cases: images to compare PyTorch and ONNX on, besides phantoms; every twentieth is taken.
        config: the experiment.
        run: folder of the run, with `all/checkpoint.pt` and `report.json`.
        models: where model folders live.

    Returns:
        The model folder.

    Raises:
        ModelError: the masks of PyTorch and of the exported model differ; nothing is kept then.
    """
    network, folder = load_average(config, run / "all"), models / config.name
    report: dict[str, Any] = json.loads((run / "report.json").read_text())
    folder.mkdir(parents=True, exist_ok=True)
    write_onnx(network, folder / "model.onnx")
    content = {
        "name": config.name,
        "sha256": hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest(),
        **report["choices"],
        "cross_validation": {
            name: report[name]
            for name in ("patients", "controls", "dice", "controls_without_false_lesion", "classification")
        },
    }
    (folder / "config.json").write_text(json.dumps(content, indent=1) + "\n")
    images = [make_phantom(seed).mip for seed in range(PHANTOMS)] + [case.image for case in cases[::20]]
    try:
        _check_agreement(network, Segmenter(folder), images)
    except ModelError:
        (folder / "model.onnx").unlink()
        raise
    return folder


def _check_agreement(network: UNet, segmenter: Segmenter, images: Sequence[Grey]) -> None:
    for number, image in enumerate(images):
        reference, logit = predict(network, image, torch.device("cpu"))
        probability, exported_logit = segmenter.probability(image)
        choices = segmenter.config.temperature, segmenter.config.min_peak
        agreement = dice_score(decode(reference, *choices), decode(probability, *choices))
        if agreement < AGREEMENT or abs(logit - exported_logit) > 0.01 or np.abs(reference - probability).max() > 0.01:
            raise ModelError(f"PyTorch and ONNX disagree on image {number}: Dice {agreement:.4f}")
