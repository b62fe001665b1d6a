"""What a text became for a backbone, and what may stand beside it: photos, a face, a subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from pvbench.errors import MethodError


@dataclass(frozen=True, eq=False)
class Words:
    """What a text became; methods hand it on and do not look into it.

    Attributes:
        tensors: what the backbone's text encoders made of it, by the backbone's own names.
        image: what photos add, by the backbone's own names; empty without any.
    """

    text: str
    tensors: Mapping[str, Tensor]
    image: Mapping[str, Tensor] = field(default_factory=dict)


class BesideWords:
    """What only some backbones take beside a text, as verbs that refuse by default."""

    def load_image_prompt(self, tensors: Mapping[str, Tensor], scale: float = 1.0) -> None:
        """Puts an image-prompt adapter into the video side, in the place of one that is there; LoRAs stay.

        It acts where words have an image beside them, see `with_image`, and nowhere else.

        Args:
            tensors: under the keys that diffusers' `load_ip_adapter` reads, `image_proj.*` and `ip_adapter.*`.
            scale: of the image's part beside the text's; 0 is the model without it.

        Raises:
            MethodError: the tensors do not fit, or the backbone takes none: its loader does not offer `IMAGE_PROMPT`.
        """
        raise MethodError(f"{type(self).__name__} takes no image prompts")

    def remove_image_prompt(self) -> None:
        """Takes out the image-prompt adapter, if there is one."""

    def with_image(
        self, words: Words, states: Float[Tensor, "photos length width"], empty: Float[Tensor, "1 length width"]
    ) -> Words:
        """The words with photos beside them, for `denoise` and `clean` on the side of videos.

        Args:
            states: what the adapter's own image encoder made of each photo.
            empty: what it made of a black picture, for the branch of guidance without a prompt.

        Raises:
            MethodError: no image prompt is loaded, or it reads other states.
        """
        raise MethodError(f"{type(self).__name__} takes no image prompts")

    def load_face_control(self, tensors: Mapping[str, Tensor], scale: float = 1.0) -> None:
        """Puts a face control into the video side, in the place of one that is there; LoRAs stay.

        It acts where words have a face beside them, see `with_face`, and nowhere else.

        Args:
            tensors: as its training saved them.
            scale: of what the layers read of the face; the picture beside the latents has none.

        Raises:
            MethodError: the tensors do not fit, or the backbone takes none: its loader does not offer
                `FACE_CONTROLLED`.
        """
        raise MethodError(f"{type(self).__name__} takes no face control")

    def remove_face_control(self) -> None:
        """Takes out the face control, if there is one."""

    def with_face(
        self,
        words: Words,
        picture: Float[Tensor, "1 3 H W"] | None,
        identity: Float[Tensor, "1 d"],
        states: Sequence[Float[Tensor, "1 length width"]],
    ) -> Words:
        """The words with a face beside them, in both branches of guidance, for `denoise` on the side of videos.

        Args:
            picture: of the head, in [-1, 1], of the frames' size; without one its branch sees nothing.
            identity: the face's vector.
            states: hidden states of the control's own image encoder.

        Raises:
            MethodError: no face control is loaded, or it reads other states.
        """
        raise MethodError(f"{type(self).__name__} takes no face control")

    def with_subject(
        self, words: Words, photos: Sequence[NDArray[np.uint8]], noise_seed: int, scale: float = 1.0
    ) -> Words:
        """The words with photos of a subject beside them, for `denoise` from the first step to the last.

        Args:
            photos: (H, W, 3) each, of any size.
            noise_seed: of what the model draws for the photos' own places.
            scale: how strongly the model is held to them; 1 is as it was trained.

        Raises:
            MethodError: the model was not trained for that.
        """
        raise MethodError(f"{type(self).__name__} takes no photos of a subject")
