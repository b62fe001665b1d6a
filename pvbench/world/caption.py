"""The language of the miniature world: sentences for what a shot shows, and the prompts that ship with the project."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pvbench.world.person import Look, Person
from pvbench.world.shot import Shot

ACTION_PHRASES: dict[str, tuple[str, ...]] = {
    "still": ("standing still", "posing quietly"),
    "turn left": ("turning the head to the left", "looking over to the left"),
    "turn right": ("turning the head to the right", "looking over to the right"),
    "look up": ("looking up", "raising the head to look up"),
    "look down": ("looking down", "lowering the head to look down"),
    "nod": ("nodding", "nodding the head in agreement"),
    "shake the head": ("shaking the head", "shaking the head to say no"),
    "smile": ("starting to smile", "breaking into a smile"),
    "laugh": ("laughing", "laughing out loud"),
    "talk": ("talking", "talking to the camera"),
    "blink": ("blinking", "blinking with both eyes"),
    "raise the brows": ("raising the brows", "lifting both brows again and again"),
    "wave": ("waving a hand", "waving a hand at the camera"),
    "walk closer": ("walking towards the camera", "walking closer"),
    "sway": ("swaying from side to side", "swaying to music"),
}
SCENE_PHRASES: dict[str, tuple[str, ...]] = {
    "beach": ("on a beach", "at the beach by the sea"),
    "forest": ("in a forest", "among the trees of a forest"),
    "night city": ("in a city at night", "in front of the night lights of a city"),
    "snow": ("in the snow", "in a snowy field"),
    "office": ("in an office", "at work in an office"),
    "desert": ("in the desert", "among the dunes of a desert"),
    "kitchen": ("in a kitchen", "in a kitchen with tiles"),
    "stage": ("on a stage", "on a stage in front of a red curtain"),
    "mountains": ("in the mountains", "in front of snowy mountains"),
    "space station": ("in a space station", "aboard a space station"),
    "library": ("in a library", "in front of the books of a library"),
    "garden": ("in a garden", "in a garden full of flowers"),
}
EXPRESSION_PHRASES: dict[str, tuple[str, ...]] = {
    "neutral": ("with a neutral face",),
    "smiling": ("with a smiling face", "with a happy face"),
    "surprised": ("with a surprised face",),
    "sad": ("with a sad face",),
    "angry": ("with an angry face",),
}
_AGE_WORDS = {"young": "young", "middle-aged": "middle-aged", "old": "old"}


@dataclass(frozen=True)
class Described:
    """The parts of a person's appearance that a caption may mention."""

    class_noun: str
    age_group: str
    look: Look

    @classmethod
    def of(cls, person: Person) -> Described:
        """What a caption may say of a person."""
        return cls(person.class_noun, person.age_group, person.look)


def article(words: str) -> str:
    """`words` with `a` or `an` before it."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def hair_words(look: Look) -> str:
    """Such as `short black hair`."""
    if look.hair == "shaved":
        return f"shaved {look.hair_colour} hair"
    if look.hair == "receding":
        return f"receding {look.hair_colour} hair"
    return f"{look.hair} {look.hair_colour} hair" if look.hair != "bob" else f"{look.hair_colour} hair in a bob"


def clothes_words(shot: Shot) -> str:
    """Such as `a red jacket and a blue cap`."""
    words = article(f"{shot.colour} {shot.clothes}")
    return f"{words} and {article(f'{shot.cap} cap')}" if shot.cap else words


def subject_words(person: Described, rng: np.random.Generator, detail: float) -> str:
    """The person in words, such as `a young woman with long black hair`; each trait is named by the chance `detail`."""
    noun = person.class_noun
    if rng.random() < 0.6 * detail:
        noun = f"{_AGE_WORDS[person.age_group]} {noun}"
    traits = []
    if rng.random() < detail:
        traits.append(hair_words(person.look))
    if person.look.beard != "none" and rng.random() < detail:
        traits.append(article(person.look.beard) if person.look.beard != "stubble" else "stubble")
    if person.look.glasses != "none" and rng.random() < detail:
        traits.append(f"{person.look.glasses} glasses")
    words = article(noun)
    if traits:
        words += " with " + (traits[0] if len(traits) == 1 else ", ".join(traits[:-1]) + " and " + traits[-1])
    return words


def caption(person: Described, shot: Shot, rng: np.random.Generator) -> str:
    """One of many sentences that describe a shot; now and then it leaves something out, as captions do."""

    def said(share: float) -> bool:
        return bool(rng.random() < share)

    def pick(table: dict[str, tuple[str, ...]], key: str) -> str:
        return str(rng.choice(table[key]))

    subject = subject_words(person, rng, 0.85 if said(0.45) else 0.0)
    action = pick(ACTION_PHRASES, shot.action) if said(0.95) else ""
    scene = pick(SCENE_PHRASES, shot.scene) if said(0.95) else ""
    clothes = clothes_words(shot) if said(0.95) else ""
    face = pick(EXPRESSION_PHRASES, shot.expression) if said(0.97 if shot.expression != "neutral" else 0.25) else ""
    order = rng.integers(4)
    if order == 0:
        return _join(subject, face, action, scene, f"wearing {clothes}" if clothes else "")
    if order == 1:
        return _join(f"{subject} in {clothes}" if clothes else subject, face, action, scene)
    if order == 2:
        return _join(
            f"{subject} wearing {clothes}" if clothes else subject, f"is {action}" if action else "", scene, face
        )
    return _join(
        scene + "," if scene else "",
        subject,
        f"is {action}" if action else "",
        face,
        f"in {clothes}" if clothes else "",
    )


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def photo_caption(shot: Shot) -> str:
    """What a photo shows beside the person, with `<V>` for them: clothes, expression and place, but not the pose.

    Tuning mirrors photos, which turns left into right.
    """
    face = "" if shot.expression == "neutral" else EXPRESSION_PHRASES[shot.expression][0]
    return _join("a <V> in", clothes_words(shot), face, SCENE_PHRASES[shot.scene][0])


def prompt_text(shot: Shot, form: int) -> str:
    """A prompt with the placeholder `<V>` for `shot`; `form` chooses among sentence patterns and phrases."""
    action = ACTION_PHRASES[shot.action][form % 2]
    scene = SCENE_PHRASES[shot.scene][(form // 2) % 2]
    faces = EXPRESSION_PHRASES[shot.expression]
    face = "" if shot.expression == "neutral" else faces[form % len(faces)]
    clothes = clothes_words(shot)
    if form % 3 == 0:
        return _join("a <V>", face, action, scene, f"wearing {clothes}")
    if form % 3 == 1:
        return _join("a <V> in", clothes, face, action, scene)
    return _join("a <V> wearing", clothes, "is", action, scene, face)
