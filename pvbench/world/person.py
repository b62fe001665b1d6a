"""People of the miniature world: what stays with a person (`Person`) and what a person can change (`Look`)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

HAIR_STYLES = ("shaved", "short", "receding", "curly", "bob", "long")
_STYLE_ODDS = {"man": (0.17, 0.36, 0.17, 0.17, 0.05, 0.08), "woman": (0.03, 0.15, 0.02, 0.22, 0.28, 0.30)}
HAIR_COLOURS = {
    "black": (0.045, 0.040, 0.040),
    "dark brown": (0.16, 0.095, 0.06),
    "brown": (0.33, 0.20, 0.11),
    "blond": (0.78, 0.62, 0.36),
    "red": (0.56, 0.21, 0.08),
    "grey": (0.58, 0.57, 0.56),
}
BEARDS = ("none", "stubble", "moustache", "goatee", "full beard")
BEARD_ODDS = (0.50, 0.16, 0.08, 0.09, 0.17)
"""How often men wear each of `BEARDS`; women wear none."""
GLASSES = ("none", "round", "square")
_GLASSES_ODDS = (0.78, 0.11, 0.11)
IRISES = ((0.23, 0.13, 0.06), (0.30, 0.46, 0.66), (0.30, 0.44, 0.25), (0.09, 0.055, 0.035), (0.42, 0.40, 0.38))
_SKIN_ANCHORS = np.array(
    [[0.34, 0.20, 0.13], [0.84, 0.64, 0.47], [0.91, 0.70, 0.59]]
)  # african, asian, caucasian; sRGB
_SHARED_PHENOTYPES = frozenset({"height", "cupsize", "firmness"})  # everybody has the same


@dataclass(frozen=True)
class Look:
    """What a hairdresser or an optician changes: a recogniser must see through it."""

    hair: str
    hair_colour: str
    beard: str
    glasses: str
    hair_seed: int

    def __post_init__(self) -> None:
        for value, allowed in (
            (self.hair, HAIR_STYLES),
            (self.hair_colour, HAIR_COLOURS),
            (self.beard, BEARDS),
            (self.glasses, GLASSES),
        ):
            if value not in allowed:
                raise ValueError(f"a look has {value!r}; expected one of {', '.join(allowed)}")


@dataclass(frozen=True)
class Person:
    """One person, completely determined by these numbers.

    Attributes:
        class_noun: `man` or `woman`.
        phenotypes: anny's phenotype values in [0, 1].
        sliders: anny's local shape sliders of the face in [-1, 1].
        skin, iris, brow: sRGB in [0, 1] and the brows' strength.
        age_group: `young`, `middle-aged` or `old`.
    """

    class_noun: str
    phenotypes: dict[str, float]
    sliders: dict[str, float]
    skin: tuple[float, float, float]
    iris: tuple[float, float, float]
    brow: tuple[float, float]
    blush: float
    lip: tuple[float, float]
    age_group: str
    look: Look


def sample_look(class_noun: str, age_group: str, rng: np.random.Generator) -> Look:
    """A hair style, hair colour, beard and glasses that suit a class noun and an age."""
    odds = np.array(_STYLE_ODDS[class_noun])
    if age_group == "young":
        odds = odds * np.array([1, 1, 0.15, 1, 1, 1])
    hair = str(rng.choice(HAIR_STYLES, p=odds / odds.sum()))
    grey = {"young": 0.0, "middle-aged": 0.18, "old": 0.75}[age_group]
    natural = list(HAIR_COLOURS)[:5]
    colour = "grey" if rng.random() < grey else str(rng.choice(natural, p=[0.28, 0.22, 0.20, 0.18, 0.12]))
    beard = str(rng.choice(BEARDS, p=BEARD_ODDS)) if class_noun == "man" else "none"
    return Look(hair, colour, beard, str(rng.choice(GLASSES, p=_GLASSES_ODDS)), int(rng.integers(1 << 30)))


def sample_person(rng: np.random.Generator, sliders: list[str], class_noun: str | None = None) -> Person:
    """A random person.

    Args:
        rng: the only source of chance.
        sliders: the names that `Figure.face_sliders` lists.
        class_noun: `man` or `woman`; drawn when not given.
    """
    noun = class_noun or ("woman" if rng.random() < 0.5 else "man")
    group = str(rng.choice(["young", "middle-aged", "old"], p=[0.45, 0.33, 0.22]))
    age = {"young": (0.62, 0.70), "middle-aged": (0.72, 0.84), "old": (0.88, 1.0)}[group]
    mix = rng.dirichlet([0.35, 0.35, 0.35])
    phenotypes = {
        "gender": float(rng.uniform(0.82, 1.0) if noun == "woman" else rng.uniform(0.0, 0.18)),
        "age": float(rng.uniform(*age)),
        "muscle": float(rng.uniform(0.3, 0.75)),
        "weight": float(rng.uniform(0.25, 0.85)),
        "height": 0.5,
        "proportions": float(rng.uniform(0.4, 0.7)),
        "cupsize": 0.4,
        "firmness": 0.5,
        "african": float(mix[0]),
        "asian": float(mix[1]),
        "caucasian": float(mix[2]),
    }
    values = np.clip(rng.normal(size=len(sliders)) * 0.45, -0.95, 0.95)
    tone = mix @ _SKIN_ANCHORS * rng.uniform(0.88, 1.08) + rng.normal(size=3) * 0.012
    return Person(
        class_noun=noun,
        phenotypes=phenotypes,
        sliders={name: float(value) for name, value in zip(sliders, values, strict=True)},
        skin=tuple(float(x) for x in np.clip(tone, 0.05, 0.97)),  # type: ignore[arg-type]
        iris=IRISES[int(rng.choice(len(IRISES), p=[0.36, 0.2, 0.14, 0.2, 0.1]))],
        brow=(float(rng.uniform(0.4, 1.0)), float(rng.uniform(-0.003, 0.004))),
        blush=float(rng.uniform(0.0, 0.5) * (1.3 if noun == "woman" else 0.7)),
        lip=(
            float(rng.uniform(0.25, 0.9) if noun == "woman" else rng.uniform(0.1, 0.45)),
            float(rng.uniform(0.7, 1.0)),
        ),
        age_group=group,
        look=sample_look(noun, group, rng),
    )


def restyle(person: Person, rng: np.random.Generator) -> Person:
    """The same face with another look."""
    return replace(person, look=sample_look(person.class_noun, person.age_group, rng))


def traits(person: Person) -> NDArray[np.float32]:
    """What stays with a person as numbers (D,): sliders, phenotypes, colours of skin, iris, brows, cheeks and lips."""
    kept = [value for name, value in person.phenotypes.items() if name not in _SHARED_PHENOTYPES]
    values = [*person.sliders.values(), *kept, *person.skin, *person.iris, *person.brow, person.blush, *person.lip]
    return np.array(values, np.float32)


_POOL_SEEDS = {"train-a": 1, "train-b": 2, "held-out": 3, "benchmark": 4}


def pool_person(pool: str, number: int, sliders: list[str]) -> Person:
    """Person `number` of a named pool; pools never share a person.

    Args:
        pool: `train-a` (base models and reward networks), `train-b` (networks that score), `held-out`, or `benchmark`.
    """
    return sample_person(np.random.default_rng([_POOL_SEEDS[pool], number]), sliders)


def look_alike_of(person: Person, stranger: Person) -> Person:
    """The stranger with the person's look, skin and eyes."""
    return replace(stranger, look=person.look, skin=person.skin, iris=person.iris)


def double(pool: str, number: int, which: int, sliders: list[str]) -> Person:
    """Somebody who is easily taken for a person of a pool, or who the person would be with something else about them.

    Args:
        which: 0 for the person, 1 for the person with another look, 2 for a stranger of the same class noun with the
            person's look, skin and eyes, 3 for the person with that stranger's skin and eyes.
    """
    person = pool_person(pool, number, sliders)
    rng = np.random.default_rng([_POOL_SEEDS[pool], number, 1])
    stranger = sample_person(rng, sliders, person.class_noun)
    if which == 1:
        return restyle(person, rng)
    if which == 2:
        return look_alike_of(person, stranger)
    return replace(person, skin=stranger.skin, iris=stranger.iris) if which == 3 else person
