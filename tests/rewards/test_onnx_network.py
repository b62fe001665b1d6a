"""Recognisers out of ONNX files: the numbers of onnxruntime, with a gradient."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from pvbench.errors import WeightsError
from pvbench.rewards.onnx_network import OnnxNetwork

onnxruntime = pytest.importorskip("onnxruntime")
SIDE = 16


def constant(name, *shape, low=-0.3, high=0.3):
    rng = np.random.default_rng(sum(map(ord, name)))
    return numpy_helper.from_array(rng.uniform(low, high, shape).astype(np.float32), name)


def normalisation(name, width):
    return [constant(f"{name}.w", width, low=0.5, high=1.5), constant(f"{name}.b", width),
            constant(f"{name}.m", width), constant(f"{name}.v", width, low=0.5, high=2.0)]  # fmt: skip


def graph(nodes, held, output="out", width=8):
    made = helper.make_graph(
        nodes,
        "recogniser",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", width])],
        held,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def residual():
    """A small IResNet, as InsightFace's larger packs have it: one block with a shortcut, and a linear layer."""
    make, names = helper.make_node, lambda name: [f"{name}.{part}" for part in "wbmv"]
    nodes = [
        make("Conv", ["in", "c1.w"], ["c1"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1]),
        make("PRelu", ["c1", "p1"], ["x"]),
        make("BatchNormalization", ["x", *names("n1")], ["n1"], epsilon=2e-5),
        make("Conv", ["n1", "c2.w", "c2.b"], ["c2"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
        make("PRelu", ["c2", "p2"], ["p"]),
        make("Conv", ["p", "c3.w", "c3.b"], ["c3"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=4),
        make("Conv", ["x", "c4.w", "c4.b"], ["c4"], kernel_shape=[1, 1], strides=[2, 2]),
        make("Add", ["c3", "c4"], ["sum"]),
        make("Dropout", ["sum"], ["dropped"]),
        make("Flatten", ["dropped"], ["flat"]),
        make("Gemm", ["flat", "g.w", "g.b"], ["g"], transB=1),
        make("BatchNormalization", ["g", *names("n2")], ["out"], epsilon=2e-5),
    ]
    held = [
        constant("c1.w", 8, 3, 3, 3), constant("p1", 8, 1, 1), *normalisation("n1", 8),
        constant("c2.w", 8, 8, 3, 3), constant("c2.b", 8), constant("p2", 8, 1, 1),
        constant("c3.w", 8, 2, 3, 3), constant("c3.b", 8), constant("c4.w", 8, 8, 1, 1), constant("c4.b", 8),
        constant("g.w", 8, 8 * 64), constant("g.b", 8), *normalisation("n2", 8),
    ]  # fmt: skip
    return graph(nodes, held)


def mobile():
    """Scaled in the graph, limits as constants, pads of unequal sides, and a reshape that is written for one face."""
    make = helper.make_node
    scalar = {"scale": 0.01, "shift": -1.2, "low": 0.0, "high": 6.0}
    nodes = [
        *(
            make("Constant", [], [name], value=numpy_helper.from_array(np.array(value, np.float32)))
            for name, value in scalar.items()
        ),
        make("Constant", [], ["shape"], value=numpy_helper.from_array(np.array([1, -1]))),
        make("Mul", ["in", "scale"], ["m"]),
        make("Add", ["m", "shift"], ["a"]),
        make("Conv", ["a", "c1.w"], ["c1"], kernel_shape=[3, 3], pads=[0, 0, 1, 1], strides=[2, 2]),
        make("Clip", ["c1", "low", "high"], ["x"]),
        make("Conv", ["x", "c2.w"], ["c2"], kernel_shape=[3, 3], dilations=[2, 2], group=8),
        make("Relu", ["c2"], ["r"]),
        make("GlobalAveragePool", ["r"], ["pool"]),
        make("Reshape", ["pool", "shape"], ["out"]),
    ]
    return graph(nodes, [constant("c1.w", 8, 3, 3, 3), constant("c2.w", 8, 1, 3, 3)])


def faces(count=3, side=SIDE):
    return np.random.default_rng(0).uniform(-1, 1, (count, 3, side, side)).astype(np.float32)


@pytest.mark.parametrize("make", [residual, mobile])
def test_outputs_are_onnxruntimes(make, tmp_path):
    onnx.save(make(), tmp_path / "w.onnx")
    network = OnnxNetwork.read(tmp_path / "w.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "w.onnx"), providers=["CPUExecutionProvider"])
    for face in faces():
        (expected,) = session.run(None, {"in": face[None]})
        found = network(torch.from_numpy(face[None]))
        torch.testing.assert_close(found, torch.from_numpy(expected).flatten(1), rtol=1e-5, atol=1e-6)
    # A face's output does not depend on how many there are.
    together = network(torch.from_numpy(faces()))
    torch.testing.assert_close(together[1:2], network(torch.from_numpy(faces()[1:2])))
    assert network.side == SIDE
    assert not any(tensor.requires_grad for tensor in network.parameters())


@pytest.mark.parametrize("make", [residual, mobile])
def test_the_gradient_is_the_slope(make):
    network = OnnxNetwork(make().graph, "made here").double()
    image = torch.from_numpy(faces(1)).double().requires_grad_()
    network(image).square().sum().backward()
    direction = torch.from_numpy(np.random.default_rng(1).normal(size=image.shape))
    with torch.no_grad():
        steps = [network(image + sign * 1e-6 * direction).square().sum() for sign in (1, -1)]
    slope = (steps[0] - steps[1]) / 2e-6
    assert float((image.grad * direction).sum()) == pytest.approx(float(slope), rel=1e-5)
    assert float(image.grad.abs().max()) > 0


def test_a_real_recogniser_has_the_numbers_of_onnxruntime(reference):
    path = reference / "weights" / "pack" / "w_mobilefacenet.onnx"
    network = OnnxNetwork.read(path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    image = 127.5 * faces(1, 112)
    (expected,) = session.run(None, {session.get_inputs()[0].name: image})
    found = network(torch.from_numpy(image))
    assert (network.side, found.shape) == (112, expected.shape)
    cosine = torch.nn.functional.cosine_similarity(found, torch.from_numpy(expected))
    assert float(cosine) > 1 - 1e-6
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=1e-3, atol=1e-3 * float(found.abs().max()))


def test_an_operator_without_a_gradient_here_is_refused_by_name():
    model = graph(
        [helper.make_node("Softmax", ["in"], ["s"]), helper.make_node("Flatten", ["s"], ["out"])], [], width=768
    )
    with pytest.raises(WeightsError, match="has the operators Softmax, for which there is no gradient here"):
        OnnxNetwork(model.graph, "made here")


def test_padding_that_is_not_known_is_refused():
    node = helper.make_node("Conv", ["in", "c1.w"], ["c"], kernel_shape=[3, 3], auto_pad="SAME_UPPER")
    flat = helper.make_node("Flatten", ["c"], ["out"])
    network = OnnxNetwork(graph([node, flat], [constant("c1.w", 8, 3, 3, 3)], width=2048).graph, "made here")
    with pytest.raises(WeightsError, match="pads by SAME_UPPER"):
        network(torch.from_numpy(faces(1)))


def test_a_graph_with_two_outputs_is_refused():
    model = residual()
    model.graph.output.append(helper.make_tensor_value_info("g", TensorProto.FLOAT, ["n", 8]))
    with pytest.raises(WeightsError, match="1 inputs and 2 outputs; expected one each"):
        OnnxNetwork(model.graph, "made here")


@pytest.mark.parametrize("content", [None, b"", b"no model at all"])
def test_a_file_that_is_no_graph_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "w.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match=r"w\.onnx"):
        OnnxNetwork.read(tmp_path / "w.onnx")
