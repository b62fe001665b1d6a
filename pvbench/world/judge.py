"""The judge of the miniature world: which action, scene, clothes' colour and expression a video shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float

from pvbench.digest import digest
from pvbench.evaluator import Demands, Evaluator, FeatureGroup, Features
from pvbench.features.mini.part import MiniPart, folder
from pvbench.profile import Profile
from pvbench.world.caption import EXPRESSION_PHRASES, SCENE_PHRASES, article, clothes_words
from pvbench.world.reading import ASKED, asked_for
from pvbench.world.shot import Shot
from pvbench.world.vocabulary import LABELS

if TYPE_CHECKING:
    from pvbench.features.mini.clip_networks import ClipModel
    from pvbench.features.mini.video_networks import VideoEncoder

SEEN = ("scene", "colour", "expression")
"""What the scoring CLIP tells of a frame; the action is told by the video encoder."""


_BARE = "nothing on the face"
_SAID: Mapping[str, Callable[[str], str]] = {
    "scene": lambda value: SCENE_PHRASES[value][0],
    "colour": lambda value: f"wearing {clothes_words(Shot(colour=value))}",
    "expression": lambda value: EXPRESSION_PHRASES[value][0],
    "hair": lambda value: "with hair in a bob" if value == "bob" else f"with {value} hair",
    "hair_colour": lambda value: f"with {value} hair",
    "beard": lambda value: f"with {({'none': _BARE, 'stubble': value}).get(value) or article(value)}",
    "glasses": lambda value: f"with {_BARE if value == 'none' else f'{value} glasses'}",
}


def sentences(label: str) -> list[str]:
    """One sentence for every value of a label that CLIP can tell, with "a person" for the person."""
    return [f"a person {_SAID[label](value)}" for value in LABELS[label]]


def sentence_embeddings(network: ClipModel, label: str) -> Float[np.ndarray, "values width"]:
    """Unit embeddings of a label's sentences, each the mean of "a man" and "a woman" in the person's place."""
    import torch
    from torch.nn import functional

    texts = [text.replace("a person", noun) for noun in ("a man", "a woman") for text in sentences(label)]
    with torch.no_grad():
        found = network.texts(texts).unflatten(0, (2, -1)).mean(dim=0)
        unit: np.ndarray = functional.normalize(found, dim=-1).cpu().numpy()
    return unit


class WorldJudge(Evaluator):
    """Reads features that were made for other numbers: no frame is looked at again."""

    def __init__(self, encoder: VideoEncoder, texts: Mapping[str, np.ndarray]) -> None:
        self.encoder, self.texts = encoder, texts

    def make(self, group: str, given: Any, have: Features) -> Features:
        """Of a video, how well each value of each label fits; of a text, which values it asks for.

        `world/action` (actions,) are probabilities; `world/scene` (T, scenes), `world/colour` and `world/expression`
        are cosines of each frame. `text/asked` (4,) has places in the vocabulary, in the order of `ASKED`, and -1 for
        what the text does not ask for.
        """
        if group == "asked":
            found = asked_for(given)
            places = [LABELS[label].index(found[label]) if label in found else -1 for label in ASKED]
            return {"text/asked": np.array(places, np.float32)}
        frames = have["clip/frame"]
        seen = {f"world/{label}": (frames @ self.texts[label].T).astype(np.float32) for label in SEEN}
        return {"world/action": self._actions(have["video/embedding"]), **seen}

    def _actions(self, embedding: np.ndarray) -> np.ndarray:
        import torch
        from torch.nn import functional

        head = self.encoder.heads["action"]
        weight = next(head.parameters())
        with torch.no_grad():
            logits = head(functional.relu(torch.from_numpy(embedding).to(weight.device)))
            found: np.ndarray = logits.softmax(dim=-1).cpu().numpy()
        return found


class WorldJudgeLoader(MiniPart):
    """Loads the heads of the video encoder, and CLIP's embeddings of the world's sentences."""

    name: ClassVar[str] = "mini_world"
    summary: ClassVar[str] = "the miniature world's judge of actions, scenes, colours and expressions"
    part: ClassVar[str] = "world"
    groups: ClassVar[tuple[FeatureGroup, ...]] = (
        FeatureGroup(
            "world",
            "video",
            ("world/action", *(f"world/{label}" for label in SEEN)),
            reads=("clip/frame", "video/embedding"),
            on_demand=True,
        ),
        FeatureGroup("asked", "text", ("text/asked",), on_demand=True),
    )
    models: ClassVar[tuple[str, ...]] = ("video_encoder", "clip_scoring")

    @classmethod
    def facts(cls, profile: Profile) -> Mapping[str, Any]:
        """What the labels are called."""
        words: Mapping[str, Sequence[str]] = {label: sentences(label) for label in SEEN}
        return {"sentences": digest([words, list(LABELS["action"])])[:16]}

    @classmethod
    def demands(cls, profile: Profile) -> Demands:
        """Nothing that the evaluators do not demand whose features it reads."""
        return Demands()

    @classmethod
    def load(cls, profile: Profile, device: str) -> WorldJudge:
        """The evaluator on a device."""
        from pvbench.features.mini.clip_networks import ClipModel
        from pvbench.features.mini.face_extractor import load_state
        from pvbench.features.mini.video_networks import VideoEncoder
        from pvbench.machine.devices import torch_device
        from pvbench.weights import verified

        place = torch_device(device)
        of_encoder = verified(folder(profile), "video_encoder")
        encoder = VideoEncoder(**json.loads((of_encoder / "config.json").read_text()))
        clip = ClipModel.load(folder(profile), "scoring", place)
        texts = {label: sentence_embeddings(clip, label) for label in SEEN}
        return WorldJudge(load_state(encoder, of_encoder, place), texts)  # type: ignore[arg-type]
