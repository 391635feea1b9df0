"""From the checkpoints of a run to the model folder that is shipped."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from mipseg.errors import ModelError
from mipseg.io.arrays import intensity_of_image
from mipseg.metrics import dice_score
from mipseg.model.atlas import AtlasGrid
from mipseg.model.folder import ATLAS
from mipseg.model.inference import infer
from mipseg.model.postprocess import binarise
from mipseg.model.preprocess import MULTIPLE
from mipseg.model.segmenter import MODELS, Segmenter
from mipseg.phantom import make_phantom
from mipseg.training.checkpoint import load_ema_network
from mipseg.training.network import UNet
from mipseg.training.predict import Probabilities, as_network
from mipseg.training.refit import shipped_networks
from mipseg.training.runs import Run
from mipseg.training.split import Split
from mipseg.training.train import atlas_of
from mipseg.types import Intensity

PHANTOMS = 4
AGREEMENT = 0.98  # least Dice between the masks of PyTorch and of the exported networks, whose weights are rounded
CHANNEL_AXIS = {"Conv": 0, "ConvTranspose": 1}  # which axis of the weights are the output channels


def write_onnx(network: UNet, file: Path) -> None:
    """Write a network as an ONNX file with free height and width (multiples of `MULTIPLE`)."""
    example = torch.zeros(1, network.in_channels, 8 * MULTIPLE, 4 * MULTIPLE)
    height, width = torch.export.Dim("rows", min=1, max=512), torch.export.Dim("columns", min=1, max=512)
    torch.onnx.export(
        Probabilities(network).eval(),
        (example,),
        str(file),
        input_names=["channels"],
        output_names=["tumour", "patient"],
        dynamic_shapes=({2: MULTIPLE * height, 3: MULTIPLE * width},),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    model = onnx.load(file)
    _forget_origin(model.graph)
    _round_weights(model.graph)
    onnx.save(model, file)


def _forget_origin(graph: onnx.GraphProto) -> None:
    """Remove what the exporter notes of each node's origin: stack traces, with paths of the machine that trained."""
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")


def _round_weights(graph: onnx.GraphProto) -> None:
    """Store the weights of convolutions in 8 bits, a quarter of the file: each output channel has its own scale.

    The runtime turns them back into float32 once, when it loads them; activations are not rounded.
    """
    weights = {weight.name: weight for weight in graph.initializer}
    for node in list(graph.node):
        if node.op_type in CHANNEL_AXIS:
            weight = weights[node.input[1]]
            values = numpy_helper.to_array(weight)
            others = tuple(axis for axis in range(values.ndim) if axis != CHANNEL_AXIS[node.op_type])
            scale = np.maximum(np.abs(values).max(others, keepdims=True) / np.float32(127), np.float32(1e-12))
            rounded = numpy_helper.from_array(np.rint(values / scale).astype(np.int8), f"{weight.name}_int8")
            factor, unscaled = numpy_helper.from_array(scale, f"{weight.name}_scale"), f"{weight.name}_float"
            graph.initializer.remove(weight)
            graph.initializer.extend([rounded, factor])
            graph.node.insert(0, helper.make_node("Mul", [unscaled, factor.name], [weight.name]))
            graph.node.insert(0, helper.make_node("Cast", [rounded.name], [unscaled], to=TensorProto.FLOAT))


def export(run: Run, split: Split, models: Path = MODELS) -> Path:
    """Write the model folder of a run: those of `shipped_networks`, the atlas if one wants it, and `config.json`.

    Args:
        run: with its checkpoints and `report.json`.
        split: the whole data set, whose controls make the atlas; on every twentieth case PyTorch and ONNX are compared.
        models: where model folders live.

    Returns:
        The model folder.

    Raises:
        ModelError: a network was not trained, or the masks of PyTorch and of the exported networks differ; nothing is
            kept then.
    """
    shipped, cases = shipped_networks(run, split), split.cases
    networks = [load_ema_network(network.folder, network.identity) for network in shipped]
    folder = models / run.config.name
    report: dict[str, Any] = json.loads((run.folder / "report.json").read_text())
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"network-{number}.onnx" for number in range(len(networks))]
    for network, file in zip(networks, files, strict=True):
        write_onnx(network, file)
    atlas = atlas_of(cases) if any(network.in_channels > 1 for network in networks) else None
    if atlas is not None:
        np.save(folder / ATLAS, atlas)
    content = {
        "name": run.config.name,
        "networks": [
            {
                "file": file.name,
                "sha256": _sha256(file),
                "run": source.run.config.name,
                "fold": source.fold,
                "refit": source.refit,
            }
            | {"in_channels": network.in_channels, "mirrored": number % 2 == 1, "fast": number < 2}
            for number, (file, network, source) in enumerate(zip(files, networks, shipped, strict=True))
        ],
        "atlas": None if atlas is None else _sha256(folder / ATLAS),
        **report["choices"],
        "cross_validation": {
            name: report[name]
            for name in ("patients", "controls", "dice", "controls_without_false_lesion", "classification")
        },
    }
    (folder / "config.json").write_text(json.dumps(content, indent=1) + "\n")
    images = [intensity_of_image(make_phantom(seed).mip) for seed in range(PHANTOMS)]
    images += [case.intensity for case in cases[::20]]
    try:
        _check_agreement(networks, atlas, Segmenter(folder), images)
    except ModelError:
        for file in (*files, folder / ATLAS):
            file.unlink(missing_ok=True)
        raise
    return folder


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _check_agreement(
    networks: Sequence[UNet], atlas: AtlasGrid | None, segmenter: Segmenter, images: Sequence[Intensity]
) -> None:
    originals = [
        as_network(network, torch.device("cpu"), mirrored=number % 2 == 1) for number, network in enumerate(networks)
    ]
    for number, image in enumerate(images):
        reference, logit = infer(image, originals, atlas)
        probability, exported_logit = segmenter.probability(image)
        choices = segmenter.config.temperature, segmenter.config.min_peak
        agreement = dice_score(binarise(reference, *choices), binarise(probability, *choices))
        if agreement < AGREEMENT or abs(logit - exported_logit) > 0.05 or np.abs(reference - probability).max() > 0.05:
            raise ModelError(f"PyTorch and ONNX disagree on image {number}: Dice {agreement:.4f}")
