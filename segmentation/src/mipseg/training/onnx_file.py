"""A network as an ONNX file: free height and width, weights in 8 bits, nothing about the machine that trained it."""

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from mipseg.model.preprocess import MULTIPLE
from mipseg.training.network import SegmentationNetwork
from mipseg.training.predict import Probabilities

CHANNEL_AXIS = {"Conv": 0, "ConvTranspose": 1}  # which axis of the weights are the output channels
MIN_ROUNDED = (
    32_768  # weights of a layer; smaller ones would save little, and those of a pretrained encoder bear it ill
)


def to_onnx(network: SegmentationNetwork) -> bytes:
    """The ONNX file of a network; height and width are free (multiples of `MULTIPLE`)."""
    example = torch.zeros(1, 1, 8 * MULTIPLE, 4 * MULTIPLE)
    height, width = torch.export.Dim("rows", min=1, max=512), torch.export.Dim("columns", min=1, max=512)
    program = torch.onnx.export(
        Probabilities(network).eval(),
        (example,),
        input_names=["intensity"],
        output_names=["tumour", "patient"],
        dynamic_shapes=({2: MULTIPLE * height, 3: MULTIPLE * width},),
        dynamo=True,
        verbose=False,
    )
    model = program.model_proto  # type: ignore[union-attr]  # only the older exporter returns None
    _forget_origin(model.graph)
    _round_weights(model.graph)
    return bytes(model.SerializeToString())


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
            if values.size < MIN_ROUNDED:
                continue
            others = tuple(axis for axis in range(values.ndim) if axis != CHANNEL_AXIS[node.op_type])
            scale = np.maximum(np.abs(values).max(others, keepdims=True) / np.float32(127), np.float32(1e-12))
            rounded = numpy_helper.from_array(np.rint(values / scale).astype(np.int8), f"{weight.name}_int8")
            factor, unscaled = numpy_helper.from_array(scale, f"{weight.name}_scale"), f"{weight.name}_float"
            graph.initializer.remove(weight)
            graph.initializer.extend([rounded, factor])
            graph.node.insert(0, helper.make_node("Mul", [unscaled, factor.name], [weight.name]))
            graph.node.insert(0, helper.make_node("Cast", [rounded.name], [unscaled], to=TensorProto.FLOAT))
