"""The oracle: the true person doing what the prompt says, as the renderer draws it. The ceiling of every table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pvbench.backbone import WORLD
from pvbench.errors import MethodError, SettingError
from pvbench.identity import Identity, is_shipped
from pvbench.method import Adapter, Method, Request, Role
from pvbench.profile import Profile
from pvbench.prompt import PromptSet, load_prompts
from pvbench.style import Style
from pvbench.video import Video
from pvbench.weights import signature, verified, weights_folder
from pvbench.world.vocabulary import STYLES


@dataclass(frozen=True)
class OracleSettings:
    """The oracle has no settings."""


class Oracle(Method):
    """Renderings of the benchmark's people, shipped for the evaluation prompts and seed 0, drawn for others."""

    name: ClassVar[str] = "oracle"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "the true person, rendered: the ceiling; miniature world only"
    tunes: ClassVar[bool] = False
    Settings: ClassVar[type] = OracleSettings
    uses_backbone: ClassVar[bool] = False
    role: ClassVar[Role] = "ceiling"
    archive: ClassVar[str] = "oracle"
    """The folder of the shipped videos, beside the weights."""
    take: ClassVar[int] = 0
    """Which of the renderings of a cell, see `oracle_video`."""

    _shipped: PromptSet | None = None
    _films: tuple[str, list[Video]] | None = None

    @classmethod
    def asks(cls, settings: Any) -> frozenset[str]:
        """A backbone of the miniature world: elsewhere the true video is not known."""
        return frozenset({WORLD})

    @classmethod
    def check(cls, settings: Any, profile: Profile, identities: Sequence[Identity], prompts: PromptSet) -> None:
        """Refuses people whom pvbench does not ship, those of the same name included: they cannot be rendered.

        Raises:
            SettingError: naming the first of them.
        """
        for identity in identities:
            if not is_shipped(identity):
                raise SettingError(
                    f"{identity.name!r} in {identity.folder} is not a person of the miniature world, so that "
                    f"{cls.name} cannot be drawn; name the --methods without it"
                )

    @classmethod
    def check_style(cls, style: Style) -> None:
        """Takes every style that the renderer draws.

        Raises:
            MethodError: the profile names no domain of the renderer for it.
        """
        if style.domain not in STYLES:
            raise MethodError(
                f"method {cls.name!r} cannot be drawn in the style {style.name!r}: its domain is {style.domain!r}; "
                f"name one that the renderer draws, {' or '.join(STYLES)}, in the profile's [styles.{style.name}]"
            )

    @classmethod
    def data_digest(cls, profile: Profile) -> str:
        """Digest of the shipped renderings."""
        return signature(weights_folder(profile.evaluators["weights"]), cls.archive)[cls.archive]

    def generate(self, identity: Identity, adapter: Adapter | None, requests: Sequence[Request]) -> Iterator[Video]:
        """One video for each request.

        Raises:
            MethodError: the video is not shipped, and the extra `world`, which could draw it, is not installed.
        """
        if self._shipped is None:
            self._shipped = load_prompts("mini_evaluation")
        places = {prompt.text: i for i, prompt in enumerate(self._shipped.prompts)}
        for request in requests:
            films = self._archive(identity)
            place = places.get(request.prompt.text)
            if self.style is None and request.seed == 0 and place is not None and films is not None:
                yield films[place]
            else:
                yield self._drawn(identity, request)

    def _archive(self, identity: Identity) -> list[Video] | None:
        """The identity's shipped videos, in the order of the evaluation prompts; None where it has none."""
        from pvbench.world.benchmark import read_archive

        if self._films is None or self._films[0] != identity.name:
            folder = verified(weights_folder(self.profile.evaluators["weights"]), self.archive)
            path: Path = folder / f"{identity.name}.mkv"
            if not path.is_file():
                return None
            sampling = self.profile.sampling
            self._films = identity.name, list(read_archive(path, sampling.frames, sampling.fps))
        return self._films[1]

    def _drawn(self, identity: Identity, request: Request) -> Video:
        from pvbench.world.benchmark import oracle_video

        try:
            from pvbench.world.figure import load_figure

            figure = load_figure()
        except ImportError as error:
            raise MethodError(
                f"the oracle's video of {identity.name!r} for prompt {request.prompt.id!r}, seed {request.seed}, is "
                f'not shipped and has to be rendered: pip install "pvbench[world]"'
            ) from error
        domain = self.style.domain if self.style else "video"
        return oracle_video(figure, identity, request.prompt, request.seed, take=self.take, domain=domain)
