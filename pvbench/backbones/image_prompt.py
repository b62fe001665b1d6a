"""Image prompts on a UNet: photos beside the text in its cross-attention, in the file format of IP-Adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pvbench.errors import MethodError


class ImagePromptSlot:
    """The image prompt of one UNet.

    The UNet's own processors stay in their places and compute the text's part to the bit: an image adds to them, where
    one is shown. diffusers' loader would replace every processor, those by which frames see each other too.

    Source: Ye et al., "IP-Adapter", 2023; the files are those that diffusers' `load_ip_adapter` reads.

    Args:
        unet: a `UNetMotionModel` or `UNet2DConditionModel`.
    """

    def __init__(self, unet: Any) -> None:
        self.unet = unet
        self._projection: nn.Module | None = None
        self._shown = Shown()

    @property
    def loaded(self) -> bool:
        """Whether there is an adapter."""
        return self._projection is not None

    def load(self, tensors: Mapping[str, Tensor], scale: float) -> None:
        """Puts in an adapter in the place of the one that is there.

        Args:
            tensors: `image_proj.*` and, for the cross-attention layers in the UNet's order, `ip_adapter.1.to_k_ip`,
                `ip_adapter.1.to_v_ip`, `ip_adapter.3.to_k_ip` and so on.
            scale: of the image's part beside the text's.

        Raises:
            MethodError: the tensors do not fit the UNet.
        """
        self.remove()
        names = cross_attention(self.unet)
        wanted = {f"ip_adapter.{2 * i + 1}.to_{part}_ip.weight" for i in range(len(names)) for part in "kv"}
        given = {key for key in tensors if not key.startswith("image_proj.")}
        if given != wanted:
            raise MethodError(
                f"the image prompt does not fit this backbone: it lacks {sorted(wanted - given)[:2]} and has "
                f"{sorted(given - wanted)[:2]} in addition; expected keys and values for {len(names)} layers"
            )
        state = {key.removeprefix("image_proj."): value for key, value in tensors.items() if key not in given}
        processors = dict(self.unet.attn_processors)
        for i, name in enumerate(names):
            attention = self.unet.get_submodule(name.removesuffix(".processor"))
            key, value = (tensors[f"ip_adapter.{2 * i + 1}.to_{part}_ip.weight"] for part in "kv")
            width = attention.to_q.in_features, self.unet.config.cross_attention_dim
            inner = attention.inner_dim
            if key.shape != (inner, width[1]) or value.shape != key.shape:
                raise MethodError(
                    f"the image prompt does not fit this backbone: layer {i + 1} has keys {tuple(key.shape)} and "
                    f"values {tuple(value.shape)}; expected {(inner, width[1])}"
                )
            device = self.unet.device
            processors[name] = ImagePromptAttention(
                processors[name], key.float().to(device), value.float().to(device), scale, self._shown
            )
        try:
            projection = self.unet._convert_ip_adapter_image_proj_to_diffusers(state, low_cpu_mem_usage=False)
        except (KeyError, RuntimeError) as error:
            raise MethodError(f"the image prompt's projection cannot be read: {error}") from error
        self._projection = projection.float().to(self.unet.device).requires_grad_(False).eval()
        self.unet.set_attn_processor(processors)

    def remove(self) -> None:
        """Takes the adapter out, if there is one."""
        if self._projection is None:
            return
        self._projection = None
        own = {
            name: processor.own if isinstance(processor, ImagePromptAttention) else processor
            for name, processor in self.unet.attn_processors.items()
        }
        self.unet.set_attn_processor(own)

    def tokens(self, states: Float[Tensor, "photos length width"]) -> Float[Tensor, "1 tokens dim"]:
        """What the cross-attention reads of photos: the mean, over them, of what the projection makes of each.

        Raises:
            MethodError: there is no adapter, or it reads states of another width.
        """
        if self._projection is None:
            raise MethodError("no image prompt is loaded: call load_image_prompt first")
        try:
            found: Tensor = self._projection(states.to(self.unet.device))
        except RuntimeError as error:
            raise MethodError(
                f"the image's states {tuple(states.shape)} do not fit the image prompt: {error}"
            ) from error
        return found.mean(dim=0, keepdim=True)

    @contextmanager
    def showing(self, tokens: Float[Tensor, "batch tokens dim"] | None) -> Iterator[None]:
        """Inside of the block the UNet sees these tokens beside the text; without any it computes as it did."""
        before, self._shown.tokens = self._shown.tokens, tokens
        try:
            yield
        finally:
            self._shown.tokens = before

    def recall(self) -> Callable[[], AbstractContextManager[None]]:
        """What shows the same tokens again, inside of a block, that are shown now."""
        now = self._shown.tokens
        return lambda: self.showing(now)


def cross_attention(unet: Any) -> list[str]:
    """The names of a UNet's spatial cross-attention processors, in the order in which IP-Adapter counts them."""
    return [name for name in unet.attn_processors if ".attn2." in name and "motion_modules" not in name]


class Shown:
    """What processors must know of the image."""

    tokens: Float[Tensor, "batch tokens dim"] | None = None


class ImagePromptAttention:
    """A diffusers processor of cross-attention, and the same queries' attention to an image's tokens on top."""

    def __init__(
        self, own: Any, key: Float[Tensor, "inner dim"], value: Float[Tensor, "inner dim"], scale: float, shown: Shown
    ) -> None:
        self.own, self.key, self.value, self.scale, self.shown = own, key, value, scale, shown

    def __call__(
        self,
        attention: Any,
        hidden_states: Float[Tensor, "batch pixels width"],
        encoder_hidden_states: Float[Tensor, "batch words dim"],
        *rest: Any,
        **more: Any,
    ) -> Float[Tensor, "batch pixels width"]:
        """The text's attention, and on top the image's where one is shown."""
        plain: Tensor = self.own(attention, hidden_states, encoder_hidden_states, *rest, **more)
        tokens = self.shown.tokens
        if tokens is None or self.scale == 0:
            return plain
        query = attention.head_to_batch_dim(attention.to_q(hidden_states))
        key = attention.head_to_batch_dim(functional.linear(tokens, self.key))
        value = attention.head_to_batch_dim(functional.linear(tokens, self.value))
        seen = torch.bmm(attention.get_attention_scores(query, key), value)
        added = self.scale * attention.batch_to_head_dim(seen)
        # The output layer is linear: its bias is in the text's part already.
        out = attention.to_out[0]
        bias = out(torch.zeros_like(added[:1, :1]))
        found: Tensor = plain + (out(added) - bias) / attention.rescale_output_factor
        return found
