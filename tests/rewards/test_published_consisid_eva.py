"""ConsisID's image encoder, EVA-CLIP: its published file, computed by hand and by the network that it is read into."""

import math

import pytest
import torch
from torch.nn import functional

from pvbench.errors import WeightsError
from pvbench.features.published.insightface_faces import InsightFaces
from pvbench.rewards import published_consisid
from pvbench.rewards.face_parser import FaceParser
from pvbench.rewards.published_consisid import DEPTHS, ConsisIdFaces, load_eva

CPU = torch.device("cpu")
WIDTH, HEADS, BLOCKS, HIDDEN, OUT, PATCH, GRID = 16, 2, 24, 42, 5, 14, 3
"""The published network has a width of 1024, 16 heads of 64, 768 numbers at last and 24 x 24 patches."""
TRAINED_GRID = 16
"""Patches on a side of the 224 pixels that it was first trained with; places in the picture are counted in these."""
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@pytest.fixture(scope="module")
def state():
    """A tiny random checkpoint in the names of EVA02_CLIP_L_336_psz14_s6B.pt, its text side cut short."""
    generator, tensors = torch.Generator().manual_seed(0), {}

    def put(name, *shape, around=0.0):
        tensors[name] = around + torch.randn(shape, generator=generator) * (0.3 if around else shape[-1] ** -0.5)

    def linear(name, inside, outside):
        put(f"{name}.weight", outside, inside)
        put(f"{name}.bias", outside)

    def norm(name, width):
        put(f"{name}.weight", width, around=1.0)
        put(f"{name}.bias", width)

    put("visual.cls_token", 1, 1, WIDTH)
    put("visual.pos_embed", 1, 1 + GRID**2, WIDTH)
    put("visual.patch_embed.proj.weight", WIDTH, 3, PATCH, PATCH)
    put("visual.patch_embed.proj.bias", WIDTH)
    for block in (f"visual.blocks.{i}" for i in range(BLOCKS)):
        for letter in "qkv":
            put(f"{block}.attn.{letter}_proj.weight", WIDTH, WIDTH)
        put(f"{block}.attn.q_bias", WIDTH)
        put(f"{block}.attn.v_bias", WIDTH)
        for name, inside, outside in (
            ("attn.proj", WIDTH, WIDTH), ("mlp.w1", WIDTH, HIDDEN), ("mlp.w2", WIDTH, HIDDEN), ("mlp.w3", HIDDEN, WIDTH)
        ):  # fmt: skip
            linear(f"{block}.{name}", inside, outside)
        for name, width in (("norm1", WIDTH), ("norm2", WIDTH), ("attn.inner_attn_ln", WIDTH), ("mlp.ffn_ln", HIDDEN)):
            norm(f"{block}.{name}", width)
    norm("visual.norm", WIDTH)
    linear("visual.head", WIDTH, OUT)
    for name in ("visual.rope.freqs_cos", "visual.rope.freqs_sin", "text.token_embedding.weight"):
        put(name, GRID**2, WIDTH // HEADS)
    return {**tensors, "logit_scale": torch.tensor(4.6)}


def turned(x):
    """Pairs of numbers of each head (n, heads, patches, d), by row in the first half, by column in the second."""
    pairs = x.shape[-1] // 4
    speeds = [10000 ** (-i / pairs) for i in range(pairs)]
    angles = torch.tensor([
        [place * TRAINED_GRID / GRID * speed for place in (row, column) for speed in speeds]
        for row in range(GRID) for column in range(GRID)
    ])  # fmt: skip
    given = torch.view_as_complex(x.unflatten(-1, (-1, 2)))
    return torch.view_as_real(given * torch.polar(torch.ones_like(angles), angles)).flatten(-2)


def computed(state, images):
    """EVA-CLIP by hand, out of the published names: its vector of length 1, and what comes out of every block."""

    def linear(x, name, bias=".bias"):
        weight = f"{name}.weight"
        return x @ state[f"visual.{weight}"].T + (state[f"visual.{name}{bias}"] if bias else 0)

    def norm(x, name):
        middle = x.mean(dim=-1, keepdim=True)
        spread = (x - middle).square().mean(dim=-1, keepdim=True)
        return (x - middle) / (spread + 1e-6).sqrt() * state[f"visual.{name}.weight"] + state[f"visual.{name}.bias"]

    def attention(x, block):
        q, k, v = (linear(x, f"{block}.attn.{letter}_proj", "") for letter in "qkv")
        q, v = q + state[f"visual.{block}.attn.q_bias"], v + state[f"visual.{block}.attn.v_bias"]
        q, k, v = (one.unflatten(-1, (HEADS, -1)).transpose(1, 2) for one in (q, k, v))
        # The class token has no place in the picture.
        q, k = (torch.cat([one[:, :, :1], turned(one[:, :, 1:])], dim=2) for one in (q, k))
        shares = (q @ k.transpose(-1, -2) / math.sqrt(WIDTH // HEADS)).softmax(dim=-1)
        return linear(
            norm((shares @ v).transpose(1, 2).flatten(2), f"{block}.attn.inner_attn_ln"), f"{block}.attn.proj"
        )

    def feed_forward(x, block):
        gate = linear(x, f"{block}.mlp.w1")
        return linear(
            norm(gate * gate.sigmoid() * linear(x, f"{block}.mlp.w2"), f"{block}.mlp.ffn_ln"), f"{block}.mlp.w3"
        )

    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, DEVIATION))
    patches = ((images - mean) / deviation).unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)
    weight = state["visual.patch_embed.proj.weight"]
    x = torch.einsum("ncyxhw,dchw->nyxd", patches, weight).flatten(1, 2) + state["visual.patch_embed.proj.bias"]
    x = torch.cat([state["visual.cls_token"].expand(len(x), -1, -1), x], dim=1) + state["visual.pos_embed"]
    outputs = []
    for block in (f"blocks.{i}" for i in range(BLOCKS)):
        x = x + attention(norm(x, f"{block}.norm1"), block)
        x = x + feed_forward(norm(x, f"{block}.norm2"), block)
        outputs.append(x)
    return functional.normalize(linear(norm(x, "norm")[:, 0], "head"), dim=-1), outputs


@pytest.fixture
def tiny(monkeypatch):
    """The published network's entry in timm, in which the sizes alone are others."""
    plain = published_consisid.timm.create_model
    size = {"img_size": PATCH * GRID, "embed_dim": WIDTH, "depth": BLOCKS, "num_heads": HEADS, "num_classes": OUT}
    monkeypatch.setattr(published_consisid.timm, "create_model", lambda name: plain(name, **size))


@pytest.mark.usefixtures("tiny")
@torch.no_grad()
def test_the_published_file_gives_what_its_names_say(state, tmp_path):
    torch.save(state, tmp_path / "EVA02_CLIP_L_336_psz14_s6B.pt")
    eva = load_eva(tmp_path / "EVA02_CLIP_L_336_psz14_s6B.pt", CPU)
    images = torch.rand(1, 3, PATCH * GRID, PATCH * GRID, generator=torch.Generator().manual_seed(1))
    control = ConsisIdFaces(InsightFaces.__new__(InsightFaces), FaceParser.__new__(FaceParser), eva, CPU)
    vector, states = control._looked_at(images)
    expected, outputs = computed(state, images)
    assert vector.shape == (1, OUT)
    # Single precision through 24 blocks.
    torch.testing.assert_close(vector, expected, rtol=0, atol=1e-5)
    assert len(states) == 5
    for found, block in zip(states, (3, 7, 11, 15, 19), strict=True):
        torch.testing.assert_close(found, outputs[block], rtol=1e-4, atol=1e-4)


def original_names(names):
    """timm's names of EVA-CLIP's image side, turned back into those of the published file."""
    for name in names:
        for ours, theirs in (
            ("q_proj.bias", "q_bias"), ("v_proj.bias", "v_bias"), ("attn.norm", "attn.inner_attn_ln"),
            ("mlp.norm", "mlp.ffn_ln"), ("mlp.fc1_g", "mlp.w1"), ("mlp.fc1_x", "mlp.w2"), ("mlp.fc2", "mlp.w3"),
        ):  # fmt: skip
            name = name.replace(ours, theirs)
        yield "visual." + name


def test_the_full_size_encoder_has_a_place_for_every_published_tensor():
    import timm
    from timm.models.eva import checkpoint_filter_fn

    with torch.device("meta"):
        network = timm.create_model("eva02_large_patch14_clip_336")
        own = network.state_dict()
        state = dict(zip(original_names(own), own.values(), strict=True))
        state |= {"visual.rope.freqs_cos": torch.zeros(1), "text.token_embedding.weight": torch.zeros(1),
                  "logit_scale": torch.zeros(1)}  # fmt: skip
        found = checkpoint_filter_fn(state, network)
    assert {key: value.shape for key, value in found.items()} == {key: value.shape for key, value in own.items()}
    assert {key.split(".")[1] for key in own if key.startswith("blocks.")} == {str(i) for i in range(24)}
    assert max(DEPTHS) < 20
    assert network.num_classes + 512 == 1280


def test_another_network_is_refused_as_image_encoder(tmp_path):
    torch.save({"visual.pos_embed": torch.zeros(1, 5, 8)}, tmp_path / "eva.pt")
    with pytest.raises(WeightsError, match=r"eva\.pt is not the image encoder|eva\.pt"):
        load_eva(tmp_path / "eva.pt", CPU, "eva02_tiny_patch14_224")
