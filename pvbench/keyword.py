"""The word that stands for the person in a prompt: none, a rare one, or one that is learned by textual inversion.

Every method that tunes can have one, by the same settings, so that no row of a table owes its likeness to the word
alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pvbench.backbone import IMAGES, LATENTS, LORA, TOKENS
from pvbench.digest import digest
from pvbench.errors import MethodError, SettingError
from pvbench.identity import Identity
from pvbench.method import Adapter, Method, Request, added, sampling_only
from pvbench.pixels import photo_tensor
from pvbench.profile import Profile
from pvbench.prompt import Prompt, PromptSet, spelled
from pvbench.shelf import learned_once
from pvbench.video import Video

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float
    from torch import Tensor

    from pvbench.latent_backbone import LatentBackbone

MOST_WORDS = 8
"""Learned words of one person; with more, prompts would be cut off at the text encoder's length."""
TokenKind = Literal["none", "rare", "inverted"]


@dataclass(frozen=True)
class KeywordSettings:
    """Settings that all methods which tune share.

    Attributes:
        references: how many of the identity's photos are tuned on, the first ones; 0 is all of them.
        token: what stands before the class noun. `none`: nothing, so that the adapter works on everybody of that noun;
            `rare`: `keyword`, a word that texts do not use; `inverted`: `token_words` vectors, learned first by textual
            inversion on the text-to-image model.
        token_steps, token_rate: of the textual inversion, by AdamW without decay; the rate falls to a tenth.
        named: whether the prompts of generated videos hold the word; without it whatever of the person is seen has
            leaked from the adapter into everybody.
    """

    references: int = 0
    token: TokenKind = "none"
    keyword: str = "sks"
    token_words: int = 5
    token_steps: int = 200
    token_rate: float = 2e-2
    named: bool = sampling_only(added(True))

    def __post_init__(self) -> None:
        at_least("cannot be negative", self, ("references",), 0)
        at_least("must be positive", self, ("token_words", "token_steps"), 1)
        if self.token_words > MOST_WORDS:
            raise SettingError(f"token_words is {self.token_words}; at most {MOST_WORDS}, or prompts would be cut off")
        at_least("must be positive", self, ("token_rate",), math.ulp(0.0))
        if self.token == "rare" and (not self.keyword or len(self.keyword.split()) != 1):
            raise SettingError(f"keyword is {self.keyword!r}; expected one word")

    @property
    def inversion_steps(self) -> int:
        """Steps of textual inversion before the method's own."""
        return self.token_steps if self.token == "inverted" else 0


def at_least(demand: str, settings: Any, names: tuple[str, ...], least: float) -> None:
    """Refuses settings below a least value.

    Raises:
        SettingError: for a value below it, or one that is not a number.
    """
    for name in names:
        # NaN fails every comparison, and infinity is not a setting.
        if not least <= getattr(settings, name) < math.inf:
            raise SettingError(f"{name} {demand}; it is {getattr(settings, name)}")


@dataclass(frozen=True, eq=False)
class Keyword:
    """What stands before the class noun in every prompt of one identity, and the vectors behind it if it was learned.

    Attributes:
        words: as they stand in a text; empty for none.
        tokens: learned vectors (n, width) by the name that `words` begins with.
    """

    words: str = ""
    tokens: Mapping[str, Tensor] = field(default_factory=dict)

    def render(self, prompt: Prompt, class_noun: str) -> str:
        """The prompt's text for the person."""
        return prompt.render(class_noun, self.words)

    @classmethod
    def of(cls, adapter: Adapter, settings: KeywordSettings, backbone: LatentBackbone) -> Keyword:
        """The keyword that an adapter was tuned with.

        Raises:
            MethodError: its words are missing, or were learned with another text encoder than the backbone's.
        """
        if settings.token == "rare":
            return cls(settings.keyword)
        if settings.token == "inverted" and not adapter.tokens:
            raise MethodError("the adapter holds no learned words, and token is inverted; tune it again")
        check_tokens(adapter.tokens, adapter.text_encoder, backbone, "the adapter")
        words = " ".join(spelled(name, len(vectors)) for name, vectors in adapter.tokens.items())
        return cls(words, adapter.tokens)


def photos_and_captions(identity: Identity, references: int) -> tuple[list[Any], list[Prompt]]:
    """The identity's first so many photos (0: all), and what each of them shows, in words.

    Raises:
        SettingError: the identity has fewer photos.
    """
    count = photos_asked_for(identity, references)
    captions = [Prompt(f"photo-{i + 1}", text) for i, text in enumerate(identity.captions[:count])]
    return identity.references()[:count], captions


def mirrored_latents(photos: Sequence[Any], backbone: LatentBackbone) -> Float[Tensor, "n c 1 h w"]:
    """Latents of photos, and then of their mirror images, at the size of the backbone's frames."""
    import torch

    images = photo_tensor(photos, backbone.sampling.height, backbone.sampling.width, backbone.device)
    return backbone.encode_images(torch.cat([images, images.flip(-1)]))


def photos_asked_for(identity: Identity, references: int) -> int:
    """How many of the identity's photos are tuned on.

    Raises:
        SettingError: the identity has fewer photos.
    """
    there = len(identity.images)
    if references > there:
        raise SettingError(f"references is {references}; identity {identity.name!r} has {there} photos")
    return references or there


def check_keyword(
    settings: KeywordSettings, profile: Profile, identities: Sequence[Identity], prompts: PromptSet
) -> None:
    """Refuses settings that an identity's photos or the texts at hand do not allow; loads no network.

    Raises:
        SettingError: more photos are asked for than an identity has, or the rare keyword is a word that texts use.
    """
    for identity in identities:
        photos_asked_for(identity, settings.references)
        if settings.token == "rare":
            check_rare(settings.keyword, profile.backbone.get("rare_words", ()), identity, prompts)


def make_keyword(
    settings: KeywordSettings,
    backbone: LatentBackbone,
    identity: Identity,
    prompts: PromptSet,
    seed: int,
    progress: Any,
) -> Keyword:
    """The identity's keyword; for an inverted one, `progress` is called with step and losses of the inversion.

    Raises:
        SettingError: a rare keyword is a word that captions or prompts use.
    """
    if settings.token == "none":
        return Keyword()
    if settings.token == "rare":
        check_rare(settings.keyword, backbone.rare_words, identity, prompts)
        return Keyword(settings.keyword)
    name = f"<{identity.name.lower()}>"
    vectors, _ = learned_once(
        f"{identity.name}-{_inversion_digest(settings, backbone, identity, name, seed)[:16]}",
        lambda: invert(settings, backbone, identity, name, seed, progress),
        lambda step, loss: progress(step, {"inversion": loss}),
    )
    return Keyword(spelled(name, len(vectors)), {name: vectors})


def _inversion_digest(
    settings: KeywordSettings, backbone: LatentBackbone, identity: Identity, name: str, seed: int
) -> str:
    """Of everything that the learned vectors depend on, whichever method asks for them."""
    sampling = backbone.sampling
    return digest(
        {
            "backbone": backbone.signature,
            "device": backbone.device.type,
            "identity": identity.digest,
            "name": name,
            "references": photos_asked_for(identity, settings.references),
            "seed": seed,
            "size": (sampling.height, sampling.width),
            "words": (settings.token_words, settings.token_steps, settings.token_rate),
        }
    )


class KeywordMethod(Method):
    """A method that tunes for a keyword: its settings are `KeywordSettings`, and its videos show the keyword.

    A subclass defines `tune`, which makes the keyword by `make_keyword` and keeps its tokens in the adapter.
    """

    backbone: LatentBackbone

    @classmethod
    def asks(cls, settings: Any) -> frozenset[str]:
        """Latents and a LoRA; for a learned keyword words that can be learned, and the side of images to learn on."""
        return frozenset({LATENTS, LORA, *((IMAGES, TOKENS) if settings.token == "inverted" else ())})

    @classmethod
    def check(cls, settings: Any, profile: Profile, identities: Sequence[Identity], prompts: PromptSet) -> None:
        """Refuses a keyword that texts use, and more photos than an identity has.

        Raises:
            SettingError: for either.
        """
        check_keyword(settings, profile, identities, prompts)

    def generate(self, identity: Identity, adapter: Adapter | None, requests: Sequence[Request]) -> Iterator[Video]:
        """One video for each request, the adapter active in its span of the steps only.

        Raises:
            MethodError: the adapter's words are missing, or do not fit the backbone.
        """
        assert adapter is not None, "a method that tunes is given its adapter"
        keyword = Keyword.of(adapter, self.settings, self.backbone)
        self.backbone.reset()
        self.backbone.load_lora(adapter.tensors)
        for request in requests:
            spoken = keyword if self.settings.named else Keyword()
            text = spoken.render(request.prompt, identity.class_noun)
            yield self.sampled(text, request, adapter, keyword)

    def sampled(self, text: str, request: Request, adapter: Adapter, keyword: Keyword) -> Video:
        """The video of a prompt's text, with the adapter loaded."""
        return self.backbone.sample(text, request.noise_seed, adapter.span, tokens=keyword.tokens)


def check_rare(word: str, allowed: Sequence[str], identity: Identity, prompts: PromptSet) -> None:
    """Refuses a keyword that means something already.

    Args:
        allowed: the backbone's rare words; where it names none, the texts at hand are looked through.

    Raises:
        SettingError: the keyword is not among them, or a word of a prompt, a caption or the class noun.
    """
    if allowed and word not in allowed:
        raise SettingError(
            f"keyword is {word!r}, which this backbone's captions use or its tokenizer does not know; expected one of "
            f"{', '.join(allowed)}"
        )
    texts = {f"prompt {prompt.id!r}": prompt.text for prompt in prompts.prompts}
    texts |= {f"the caption of photo {i + 1}": text for i, text in enumerate(identity.captions)}
    for where, text in texts.items():
        if word.lower() in {*text.lower().replace(",", " ").replace(".", " ").split(), identity.class_noun}:
            raise SettingError(f"keyword is {word!r}, a word of {where}: {text!r}; choose a word that no text uses")


def invert(
    settings: KeywordSettings, backbone: LatentBackbone, identity: Identity, name: str, seed: int, progress: Any
) -> tuple[Tensor, list[float]]:
    """Vectors (token_words, width) under which the text-to-image model reconstructs the photos, and each step's loss.

    Nothing else is tuned. Captions name what else a photo shows, so that clothes and place need not be learned into the
    word.

    Source: Gal et al., "An Image is Worth One Word", 2023; diffusers' textual_inversion.py.

    Args:
        progress: called with the step done, counted from 1, and the losses of that step.
    """
    # A tuning that failed may have left its adapter.
    import torch

    backbone.reset()
    generator = torch.Generator().manual_seed(seed)
    photos, captions = photos_and_captions(identity, settings.references)
    latents = mirrored_latents(photos, backbone)
    vectors = torch.nn.Parameter(first_vectors(backbone, identity.class_noun, settings.token_words, generator))
    words = spelled(name, settings.token_words)
    texts = [caption.render(identity.class_noun, words) for caption in captions]
    optimiser = torch.optim.AdamW([vectors], lr=settings.token_rate, weight_decay=0.0)
    losses: list[float] = []
    for step in range(settings.token_steps):
        optimiser.param_groups[0]["lr"] = settings.token_rate * (1 - 0.9 * step / settings.token_steps)
        pick = torch.randint(len(latents), (4,), generator=generator)
        shown = [i % len(texts) for i in pick.tolist()]
        words_of = {i: backbone.encode(texts[i], {name: vectors}) for i in sorted(set(shown))}
        chosen = [words_of[i] for i in shown]
        loss = backbone.errors(latents[pick.to(latents.device)], chosen, generator).flatten(1).mean(dim=1).mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        losses.append(float(loss.detach()))
        progress(step + 1, {"inversion": losses[-1]})
    return vectors.detach().cpu(), losses


def first_vectors(backbone: LatentBackbone, class_noun: str, words: int, generator: torch.Generator) -> Tensor:
    """What learned words (words, width) begin from: near the class noun, a tenth of its spread apart.

    So they are something that the model knows, and can become different words.
    """
    import torch

    noun = backbone.word_vectors(class_noun).mean(dim=0)
    spread = 0.1 * float(noun.std()) * torch.randn(words, len(noun), generator=generator)
    return (noun.cpu() + spread).to(backbone.device)


def check_tokens(tokens: Mapping[str, Tensor], text_signature: str, backbone: LatentBackbone, where: str) -> None:
    """Refuses learned words that do not fit a backbone.

    Raises:
        MethodError: they are not as wide as its words, or were learned with other weights of its text encoder.
    """
    width = backbone.word_vectors("a").shape[1]
    for name, vectors in tokens.items():
        if vectors.ndim != 2 or vectors.shape[1] != width:
            raise MethodError(
                f"{where}: learned word {name!r} has the shape {tuple(vectors.shape)}; this backbone's text encoder "
                f"has words {width} wide: the file belongs to another text encoder"
            )
    if text_signature and text_signature != backbone.text_signature:
        raise MethodError(
            f"{where}: learned with the text encoder {text_signature}; this backbone's is {backbone.text_signature}: "
            f"learn the words again with this one"
        )
