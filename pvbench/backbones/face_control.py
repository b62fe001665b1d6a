"""Face control on a UNet: ConsisID's two branches, a picture beside the latent and a face beside every block."""

from __future__ import annotations

# ruff: noqa: E402  the shim comes before anything that imports torchvision
from pvbench.torchvision_shim import load_torchvision

load_torchvision()

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from diffusers.models.transformers.consisid_transformer_3d import LocalFacialExtractor, PerceiverCrossAttention
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pvbench.errors import MethodError

_HEAD = 64
"""The width of an attention head, here and in the extractor."""


@dataclass(frozen=True)
class FaceControlSize:
    """What a face control is made of.

    Attributes:
        identity: the length of a face's vector.
        states: how many of the image encoder's hidden states are read, and `width` their width.
        words: made of the face's vector; `queries`: tokens that the blocks see.
        heads: of the attention, 64 wide, in the extractor, which has one layer for each state, and in the blocks.
    """

    identity: int = 256
    states: int = 3
    width: int = 128
    words: int = 2
    queries: int = 8
    heads: int = 2


class FaceControlNetwork(nn.Module):
    """What is trained: the picture's kernels, the extractor of the face's tokens and a look at them for each block.

    Extractor and attention are diffusers' own classes for ConsisID, under the published names. The first layer's
    kernels and the last layers of the attention begin at zero, so that the untrained control changes nothing.

    Source: Yuan et al., "ConsisID", 2024; ConsisID@60429e4.
    """

    def __init__(self, unet: Any, size: FaceControlSize = FaceControlSize()) -> None:
        super().__init__()
        first = unet.conv_in
        self.picture = nn.Conv2d(first.in_channels, first.out_channels, first.kernel_size, first.stride, first.padding,
                                 bias=False)  # fmt: skip
        nn.init.zeros_(self.picture.weight)
        self.local_facial_extractor = LocalFacialExtractor(
            id_dim=size.identity, vit_dim=size.width, depth=size.states, dim_head=_HEAD, heads=size.heads,
            num_id_token=size.words, num_queries=size.queries, output_dim=size.width, num_scale=size.states,
        )  # fmt: skip
        looks = [PerceiverCrossAttention(block.inner_dim, _HEAD, size.heads, size.width) for block in blocks(unet)]
        for look in looks:
            nn.init.zeros_(look.to_out.weight)
        self.perceiver_cross_attention = nn.ModuleList(looks)

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], unet: Any) -> FaceControlNetwork:
        """The network that tensors were saved from.

        Raises:
            MethodError: they do not fit the UNet.
        """
        at = "local_facial_extractor."
        try:
            _, queries, width = tensors[at + "latents"].shape
            size = FaceControlSize(
                identity=tensors[at + "id_embedding_mapping.0.weight"].shape[1],
                states=sum(key.startswith(at + "mapping_") and key.endswith(".0.weight") for key in tensors),
                width=width,
                words=tensors[at + "id_embedding_mapping.6.weight"].shape[0] // width,
                queries=queries,
                heads=tensors[at + "layers.0.0.to_q.weight"].shape[0] // _HEAD,
            )
            found = cls(unet, size)
            found.load_state_dict({key: value.float() for key, value in tensors.items()})
        except (KeyError, IndexError, RuntimeError) as error:
            raise MethodError(f"the face control does not fit this backbone: {error}") from error
        return found

    def face(
        self, identity: Float[Tensor, "n d"], states: Sequence[Float[Tensor, "n length width"]]
    ) -> Float[Tensor, "n tokens width"]:
        """The tokens that blocks look at, of a face's vector and an image encoder's hidden states."""
        found: Tensor = self.local_facial_extractor(identity, list(states))
        return found


def blocks(unet: Any) -> list[Any]:
    """The spatial transformers of a UNet for pictures or videos, by name, so that both have the same order."""
    found = {name: module for name, module in unet.named_modules() if isinstance(module, Transformer2DModel)}
    return [found[name] for name in sorted(found) if "motion_modules" not in name]


@dataclass
class Seen:
    """What the hooks add.

    Attributes:
        picture: latents (1 or n, c, h, w) beside the noisy ones; None for none.
        face: tokens (1 or n, tokens, width); None for none.
        scale: of the face's part; one number, or (n, 1, 1), one for each frame.
    """

    picture: Tensor | None = None
    face: Tensor | None = None
    scale: float | Tensor = 1.0


def attach(unet: Any, network: FaceControlNetwork, seen: Seen) -> list[Any]:
    """Hooks that let a UNet see a face control; each can be removed. Without picture and face it computes as before."""

    def first(module: Any, given: Any, output: Tensor) -> Tensor:
        if seen.picture is None:
            return output
        # As if the picture's channels stood behind the latent's: a convolution is linear in them.
        kernel = network.picture
        beside: Tensor = functional.conv2d(seen.picture, kernel.weight, None, kernel.stride, kernel.padding)
        return output + beside.to(output.dtype)

    def block(attention: nn.Module) -> Callable[[Any, Any, Any], Any]:
        def look(module: Any, given: Any, output: Any) -> Any:
            if seen.face is None or (isinstance(seen.scale, float) and seen.scale == 0):
                return output
            sample = output[0]
            places = sample.flatten(2).transpose(1, 2)
            face = seen.face.expand(len(places), -1, -1)
            added = (seen.scale * attention(face, places)).transpose(1, 2).reshape(sample.shape)
            whole = sample + added.to(sample.dtype)
            return (whole, *output[1:]) if isinstance(output, tuple) else type(output)(sample=whole)

        return look

    handles = [unet.conv_in.register_forward_hook(first)]
    for module, attention in zip(blocks(unet), network.perceiver_cross_attention, strict=True):
        handles.append(module.register_forward_hook(block(attention)))
    return handles


class FaceControlSlot:
    """The face control of one UNet.

    Args:
        unet: a `UNetMotionModel` or `UNet2DConditionModel`.
    """

    def __init__(self, unet: Any) -> None:
        self.unet = unet
        self._network: FaceControlNetwork | None = None
        self._handles: list[Any] = []
        self._seen = Seen()

    def load(self, tensors: Mapping[str, Tensor], scale: float) -> None:
        """Puts in a control in the place of the one that is there.

        Raises:
            MethodError: the tensors do not fit the UNet.
        """
        self.remove()
        network = FaceControlNetwork.of(tensors, self.unet).to(self.unet.device).requires_grad_(False).eval()
        self._seen = Seen(scale=float(scale))
        self._network, self._handles = network, attach(self.unet, network, self._seen)

    def remove(self) -> None:
        """Takes the control out, if there is one."""
        for handle in self._handles:
            handle.remove()
        self._network, self._handles, self._seen = None, [], Seen()

    def face(
        self, identity: Float[Tensor, "1 d"], states: Sequence[Float[Tensor, "1 length width"]]
    ) -> Float[Tensor, "1 tokens width"]:
        """The tokens of a face.

        Raises:
            MethodError: there is no control, or it reads another face's vector or states.
        """
        if self._network is None:
            raise MethodError("no face control is loaded: call load_face_control first")
        device = self.unet.device
        try:
            return self._network.face(identity.to(device), [state.to(device) for state in states])
        except (RuntimeError, IndexError) as error:
            raise MethodError(f"the face's vector and states do not fit the face control: {error}") from error

    @contextmanager
    def showing(self, picture: Tensor | None, face: Tensor | None) -> Iterator[None]:
        """Inside of the block the UNet sees a picture and a face; without both it computes as it did."""
        seen = self._seen
        before = replace(seen)
        seen.picture, seen.face = picture, face
        try:
            yield
        finally:
            seen.picture, seen.face = before.picture, before.face

    def recall(self) -> Callable[[], AbstractContextManager[None]]:
        """What shows the same picture and face again, inside of a block, that are shown now."""
        picture, face = self._seen.picture, self._seen.face
        return lambda: self.showing(picture, face)
