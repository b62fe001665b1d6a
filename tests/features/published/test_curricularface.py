"""CurricularFace: the network's shape, its checkpoint's names, and what is refused."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from pvbench.errors import WeightsError
from pvbench.features.published.curricularface import BLOCKS, CurricularFace, load_curricularface

CPU = torch.device("cpu")


def small():
    torch.manual_seed(0)
    network = CurricularFace((1, 2, 1, 1), width=4, size=16)
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2)
    return network.eval()


def test_the_full_network_has_the_checkpoints_tensors():
    with torch.device("meta"):
        network = CurricularFace()
    state = network.state_dict()
    assert sum(BLOCKS) == 49
    assert len(network.body) == 49
    # As IR-101's checkpoints name and shape them.
    assert state["input_layer.0.weight"].shape == (64, 3, 3, 3)
    assert state["input_layer.2.weight"].shape == (64,)
    assert state["body.3.shortcut_layer.0.weight"].shape == (128, 64, 1, 1)
    assert state["body.3.shortcut_layer.1.running_var"].shape == (128,)
    assert "body.0.shortcut_layer.0.weight" not in state
    assert state["body.48.res_layer.3.weight"].shape == (512,)
    assert state["body.46.res_layer.4.weight"].shape == (512, 512, 3, 3)
    assert state["output_layer.3.weight"].shape == (512, 512 * 7 * 7)
    assert "output_layer.4.weight" not in state
    assert state["output_layer.4.running_mean"].shape == (512,)
    weights = sum(parameter.numel() for parameter in network.parameters())
    assert weights == pytest.approx(65.1e6, rel=0.01)


def test_it_computes_what_the_description_says():
    network = small()
    state = network.state_dict()

    def norm(images, name):
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return functional.batch_norm(images, mean, var, state.get(f"{name}.weight"), state.get(f"{name}.bias"))

    def block(images, name, stride, narrow):
        inner = functional.conv2d(norm(images, f"{name}.res_layer.0"), state[f"{name}.res_layer.1.weight"], padding=1)
        inner = functional.prelu(norm(inner, f"{name}.res_layer.2"), state[f"{name}.res_layer.3.weight"])
        inner = functional.conv2d(inner, state[f"{name}.res_layer.4.weight"], stride=stride, padding=1)
        inner = norm(inner, f"{name}.res_layer.5")
        if narrow:
            beside = functional.conv2d(images, state[f"{name}.shortcut_layer.0.weight"], stride=stride)
            return inner + norm(beside, f"{name}.shortcut_layer.1")
        return inner + images[:, :, ::stride, ::stride]

    images = torch.rand(2, 3, 112, 112) * 2 - 1
    found = norm(functional.conv2d(images, state["input_layer.0.weight"], padding=1), "input_layer.1")
    found = functional.prelu(found, state["input_layer.2.weight"])
    for number, (stride, narrow) in enumerate([(2, False), (2, True), (1, False), (2, True), (2, True)]):
        found = block(found, f"body.{number}", stride, narrow)
    found = norm(found, "output_layer.0").flatten(1)
    found = functional.linear(found, state["output_layer.3.weight"], state["output_layer.3.bias"])
    found = norm(found, "output_layer.4")
    with torch.no_grad():
        torch.testing.assert_close(network(images), found, rtol=1e-4, atol=1e-5)


def test_embeddings_are_of_unit_length_and_red_is_not_blue():
    network = small()
    faces = torch.randint(0, 255, (3, 112, 112, 3), dtype=torch.uint8)
    found = network.embed(faces)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(3))
    swapped = network.embed(faces.flip(-1))
    assert (found - swapped).abs().max() > 1e-3
    images = (faces.permute(0, 3, 1, 2).float() - 127.5) / 127.5
    with torch.no_grad():
        torch.testing.assert_close(found, functional.normalize(network(images), dim=-1), rtol=1e-4, atol=1e-5)


def test_a_checkpoint_is_loaded_and_frozen(tmp_path):
    network, path = small(), tmp_path / "small.bin"
    torch.save(network.state_dict(), path)
    found = load_curricularface(path, CPU, CurricularFace((1, 2, 1, 1), width=4, size=16))
    face = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (1, 112, 112, 3), dtype=np.uint8))
    torch.testing.assert_close(found.embed(face), network.embed(face))
    assert not found.training
    assert not any(parameter.requires_grad for parameter in found.parameters())


@pytest.mark.parametrize("damage", ["missing", "text", "list", "other network", "other shape", "code"])
def test_what_is_no_such_checkpoint_is_refused_by_name(tmp_path, damage):
    path, state = tmp_path / "face.bin", small().state_dict()
    if damage == "text":
        path.write_text("<html>not found</html>")
    elif damage == "list":
        torch.save([torch.zeros(1)], path)
    elif damage == "other network":
        torch.save({"conv1.weight": torch.zeros(1)}, path)
    elif damage == "other shape":
        torch.save({**state, "output_layer.3.bias": torch.zeros(3)}, path)
    elif damage == "code":
        torch.save({"weights": print}, path)
    with pytest.raises(WeightsError, match="glint360k_curricular_face") as told:
        load_curricularface(path, CPU, CurricularFace((1, 2, 1, 1), width=4, size=16))
    assert str(path) in str(told.value)
