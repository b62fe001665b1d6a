"""Face recognisers out of ONNX files, computed by torch: onnxruntime has no gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pvbench.errors import ExtraError, WeightsError

Given = Sequence[Any]
"""A node's inputs, None where an optional one is left out."""


class OnnxNetwork(nn.Module):
    """A graph of convolutions and the like, with gradient in its input; its weights are frozen.

    Operators that are not known are refused when the file is read, by name.

    Attributes:
        side: pixels of a side of the square that it takes.
    """

    def __init__(self, graph: Any, where: str) -> None:
        super().__init__()
        from onnx import numpy_helper

        unknown = sorted({node.op_type for node in graph.node} - set(_OPERATORS))
        if unknown:
            raise WeightsError(
                f"{where} has the operators {', '.join(unknown)}, for which there is no gradient here; take another "
                f"recogniser, such as w600k_r50.onnx of buffalo_l"
            )
        held = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        inputs = [one for one in graph.input if one.name not in held]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise WeightsError(f"{where} has {len(inputs)} inputs and {len(graph.output)} outputs; expected one each")
        self._input, self._output = inputs[0].name, graph.output[0].name
        self.side = int(inputs[0].type.tensor_type.shape.dim[-1].dim_value)
        self._names: dict[str, str] = {}
        for number, (name, array) in enumerate(held.items()):
            self._names[name] = f"held_{number}"
            self.register_buffer(f"held_{number}", torch.from_numpy(np.array(array)))
        self._nodes = [
            (node.op_type, tuple(node.input), tuple(node.output), {one.name: _value(one) for one in node.attribute})
            for node in graph.node
        ]

    @classmethod
    def read(cls, path: Path) -> OnnxNetwork:
        """The network of a file, frozen, on the CPU.

        Raises:
            WeightsError: the file is missing or damaged, or its graph is not a recogniser's.
            ExtraError: the package onnx is not installed.
        """
        try:
            import onnx
            from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
        except ImportError as error:
            raise ExtraError(
                f'recognisers out of ONNX files need onnx ({error}): pip install "pvbench[face]"'
            ) from error
        try:
            graph = onnx.load(str(path)).graph
        except (OSError, DecodeError, ValueError) as error:
            raise WeightsError(f"{path} cannot be read as ONNX ({error}); fetch it again") from error
        return cls(graph, str(path)).eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """The graph's output (n, D) for images (n, 3, side, side), scaled as the graph expects them."""
        found: dict[str, Any] = {name: getattr(self, held) for name, held in self._names.items()}
        found[self._input] = images
        for operator, names, outputs, attributes in self._nodes:
            given = [found[name] if name else None for name in names]
            found[outputs[0]] = _OPERATORS[operator](given, attributes)
        result: Tensor = found[self._output]
        return result.flatten(1)


def _value(attribute: Any) -> Any:
    from onnx import helper, numpy_helper

    value = helper.get_attribute_value(attribute)
    if attribute.name == "value":
        return torch.from_numpy(np.array(numpy_helper.to_array(value)))
    return value.decode() if isinstance(value, bytes) else value


def _convolution(given: Given, of: Mapping[str, Any]) -> Tensor:
    if of.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise WeightsError(f"a convolution pads by {of['auto_pad']}, which is not known here; take another recogniser")
    images, weight, bias = (*given, None)[:3]
    top, left, bottom, right = of.get("pads", (0, 0, 0, 0))
    if (top, left) != (bottom, right):
        images, top, left = functional.pad(images, (left, right, top, bottom)), 0, 0
    return functional.conv2d(
        images,
        weight,
        bias,
        tuple(of.get("strides", (1, 1))),
        (top, left),
        tuple(of.get("dilations", (1, 1))),
        of.get("group", 1),
    )


def _normalisation(given: Given, of: Mapping[str, Any]) -> Tensor:
    images, weight, bias, mean, variance = given
    return functional.batch_norm(images, mean, variance, weight, bias, training=False, eps=of.get("epsilon", 1e-5))


def _prelu(given: Given, of: Mapping[str, Any]) -> Tensor:
    images, slope = given
    return torch.where(images < 0, images * slope, images)


def _clip(given: Given, of: Mapping[str, Any]) -> Tensor:
    images, low, high = (*given, of.get("min"), of.get("max"))[:3]
    return torch.clamp(images, None if low is None else float(low), None if high is None else float(high))


def _gemm(given: Given, of: Mapping[str, Any]) -> Tensor:
    one, other, bias = (*given, None)[:3]
    one = one.transpose(0, 1) if of.get("transA", 0) else one
    other = other.transpose(0, 1) if of.get("transB", 0) else other
    product: Tensor = of.get("alpha", 1.0) * (one @ other)
    return product if bias is None else product + of.get("beta", 1.0) * bias


def _reshape(given: Given, of: Mapping[str, Any]) -> Tensor:
    images, shape = given
    wanted = [int(images.shape[i]) if size == 0 else int(size) for i, size in enumerate(shape.tolist())]
    # Graphs are written down with a batch of one.
    wanted[0] = len(images)
    result: Tensor = images.reshape(wanted)
    return result


def _flatten(given: Given, of: Mapping[str, Any]) -> Tensor:
    if of.get("axis", 1) != 1:
        raise WeightsError(f"a layer flattens from axis {of['axis']}; expected 1: take another recogniser")
    result: Tensor = given[0].flatten(1)
    return result


_OPERATORS: Mapping[str, Callable[[Given, Mapping[str, Any]], Any]] = {
    "Add": lambda given, of: given[0] + given[1],
    "BatchNormalization": _normalisation,
    "Clip": _clip,
    "Constant": lambda given, of: of["value"],
    "Conv": _convolution,
    "Div": lambda given, of: given[0] / given[1],
    "Dropout": lambda given, of: given[0],
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda given, of: given[0].mean(dim=(2, 3), keepdim=True),
    "Identity": lambda given, of: given[0],
    "MatMul": lambda given, of: given[0] @ given[1],
    "Mul": lambda given, of: given[0] * given[1],
    "PRelu": _prelu,
    "Relu": lambda given, of: functional.relu(given[0]),
    "Reshape": _reshape,
    "Sigmoid": lambda given, of: given[0].sigmoid(),
    "Sub": lambda given, of: given[0] - given[1],
}
"""What recognisers of InsightFace's packs are made of: IResNet and MobileFaceNet."""
