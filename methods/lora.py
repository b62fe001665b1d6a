"""A LoRA that was trained elsewhere, one file a person: any trainer's whose files diffusers reads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pvbench.backbone import LATENTS, LORA
from pvbench.digest import file_digest
from pvbench.errors import MethodError, SettingError, WeightsError
from pvbench.identity import Identity
from pvbench.keyword import at_least
from pvbench.method import Adapter, Method, Request, place
from pvbench.profile import Profile
from pvbench.prompt import PromptSet
from pvbench.video import Video

if TYPE_CHECKING:
    from pvbench.latent_backbone import LatentBackbone

_SUFFIXES = (".safetensors", ".ckpt", ".pt", ".bin")
_DIFFUSERS = "pytorch_lora_weights"


@dataclass(frozen=True)
class LoraSettings:
    """Settings of a LoRA that was trained elsewhere.

    Attributes:
        path: the folder with a file, or a folder, named as each person is; for one person also the file itself.
        checkpoint: the number of a checkpoint: `PERSON/checkpoint-500/` of diffusers' scripts, `PERSON-000010` of
            kohya's; 0 is the file without a number.
        scale: multiplies the strength that the file says.
        span: share of the denoising steps, at the end, in which it is active; its part for a text encoder always is.
        keyword: what stands before the class noun in every prompt, such as the word that it was trained with.

    Raises:
        SettingError: a value is out of its range.
    """

    path: str = place()
    checkpoint: int = 0
    scale: float = 1.0
    span: float = 1.0
    keyword: str = ""

    def __post_init__(self) -> None:
        at_least("cannot be negative", self, ("checkpoint",), 0)
        at_least("must be positive", self, ("scale", "span"), math.ulp(0.0))
        if self.span > 1:
            raise SettingError(f"span is {self.span}; expected a share of the steps, above 0 and at most 1")


class Lora(Method):
    """The backbone with a person's LoRA in it. Nothing is tuned here, and nothing is known of how it was tuned."""

    name: ClassVar[str] = "lora"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "a LoRA of your own for each person, of any trainer that diffusers reads"
    tunes: ClassVar[bool] = False
    in_all: ClassVar[bool] = False
    Settings: ClassVar[type] = LoraSettings
    settings: LoraSettings
    backbone: LatentBackbone

    @classmethod
    def asks(cls, settings: Any) -> frozenset[str]:
        """Layers that take a LoRA, and steps in which it can be active."""
        return frozenset({LATENTS, LORA})

    @classmethod
    def check(cls, settings: Any, profile: Profile, identities: Sequence[Identity], prompts: PromptSet) -> None:
        """Refuses a person without a file.

        Raises:
            SettingError: no path is set, or a person has no file there, or several.
        """
        if Path(settings.path).is_file() and len(identities) > 1:
            raise SettingError(
                f"method 'lora': path is the file {settings.path}, and there are {len(identities)} people; give a "
                f"folder with one file a person"
            )
        for identity in identities:
            lora_file(settings, identity.name)

    @classmethod
    def files_digest(cls, settings: Any, identity: Identity) -> str:
        """Of the person's file."""
        return file_digest(lora_file(settings, identity.name))

    def generate(self, identity: Identity, adapter: Adapter | None, requests: Sequence[Request]) -> Iterator[Video]:
        """One video for each request.

        Raises:
            WeightsError: the file cannot be read, or does not fit the backbone.
        """
        from pvbench.weights.checkpoint import read_tensors

        path = lora_file(self.settings, identity.name)
        self.backbone.reset()
        try:
            self.backbone.load_foreign_lora(read_tensors(path), self.settings.scale)
        except MethodError as error:
            raise WeightsError(f"{path}, the LoRA of {identity.name!r}: {error}") from error
        for request in requests:
            text = request.prompt.render(identity.class_noun, self.settings.keyword)
            yield self.backbone.sample(text, request.noise_seed, (1 - self.settings.span, 1.0))


def lora_file(settings: LoraSettings, name: str) -> Path:
    """A person's file.

    Raises:
        SettingError: no path is set, or there is no file, or more than one that it could be.
    """
    if not settings.path:
        raise SettingError("method 'lora' needs a path: lora[path=FOLDER], with one file or folder a person")
    home = Path(settings.path).expanduser()
    if home.is_file():
        return home
    found = [path for path in _candidates(home, name, settings.checkpoint) if path.is_file()]
    if not found and not settings.checkpoint:
        found = [path for path in sorted((home / name).glob("*")) if path.suffix in _SUFFIXES]
        if len(found) > 1:
            raise SettingError(
                f"method 'lora': {home / name} holds {len(found)} files of tensors; leave one, name it "
                f"{_DIFFUSERS}.safetensors, or set checkpoint"
            )
    if not found:
        numbered = f" with checkpoint {settings.checkpoint}" if settings.checkpoint else ""
        raise SettingError(
            f"method 'lora': no file for {name!r}{numbered} in {home}; expected {name}.safetensors, or "
            f"{name}/{_DIFFUSERS}.safetensors"
        )
    return found[0]


def _candidates(home: Path, name: str, checkpoint: int) -> list[Path]:
    """Where a file may lie, the likelier first."""
    if checkpoint:
        numbered = f"{name}-{checkpoint:06d}"
        stems = [home / name / f"checkpoint-{checkpoint}" / _DIFFUSERS, home / numbered, home / name / numbered]
    else:
        stems = [home / name, home / name / _DIFFUSERS, home / name / name]
    return [stem.parent / f"{stem.name}{suffix}" for stem in stems for suffix in _SUFFIXES]
