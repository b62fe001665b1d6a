"""Actions and expressions: how head, face, arm and body move through one second of video.

Left and right are the viewer's. All angles are degrees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

EXPRESSIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "smiling": {
        "mouthSmileLeft": 1.5,
        "mouthSmileRight": 1.5,
        "cheekSquintLeft": 0.8,
        "cheekSquintRight": 0.8,
        "mouthUpperUpLeft": 0.7,
        "mouthUpperUpRight": 0.7,
        "jawOpen": 0.12,
    },
    "surprised": {
        "browInnerUp": 1.6,
        "browOuterUpLeft": 1.6,
        "browOuterUpRight": 1.6,
        "jawOpen": 0.75,
        "eyeWideLeft": 1.4,
        "eyeWideRight": 1.4,
        "mouthFunnel": 0.6,
    },
    "sad": {
        "mouthFrownLeft": 1.9,
        "mouthFrownRight": 1.9,
        "browInnerUp": 1.9,
        "browDownLeft": -0.6,
        "browDownRight": -0.6,
        "mouthShrugLower": 0.8,
        "eyeBlinkLeft": 0.5,
        "eyeBlinkRight": 0.5,
    },
    "angry": {
        "browDownLeft": 1.9,
        "browDownRight": 1.9,
        "noseSneerLeft": 1.3,
        "noseSneerRight": 1.3,
        "mouthUpperUpLeft": 0.9,
        "mouthUpperUpRight": 0.9,
        "mouthStretchLeft": 1.0,
        "mouthStretchRight": 1.0,
        "mouthLowerDownLeft": 0.9,
        "mouthLowerDownRight": 0.9,
        "eyeSquintLeft": 0.8,
        "eyeSquintRight": 0.8,
    },
}


@dataclass(frozen=True)
class Pose:
    """One instant: head angles (yaw to the viewer's right, pitch up, roll clockwise), gaze, face units, body."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)
    units: dict[str, float] = field(default_factory=dict)
    shift: tuple[float, float] = (0.0, 0.0)  # metres sideways and up
    lean: float = 0.0  # degrees of the whole trunk
    nearness: float = 1.0  # 1: as framed; 0.7: further away
    wave: float | None = None  # forearm angle while a hand is up


Motion = Callable[[float, np.random.Generator], Callable[[float], Pose]]


def _ease(t: float) -> float:
    t = min(max(t, 0.0), 1.0)
    return t * t * (3 - 2 * t)


def _both(name: str, value: float) -> dict[str, float]:
    return {name + "Left": value, name + "Right": value}


def _ramp(rng: np.random.Generator) -> Callable[[float], float]:
    start, length = rng.uniform(0.0, 0.15), rng.uniform(0.55, 0.8)
    return lambda t: _ease((t - start) / length)


def _wave_form(rng: np.random.Generator, hertz: tuple[float, float]) -> Callable[[float], float]:
    phase, frequency = rng.uniform(0, 2 * np.pi), rng.uniform(*hertz)
    return lambda t: float(np.sin(2 * np.pi * frequency * t + phase))


def _still(rng: np.random.Generator) -> Callable[[float], Pose]:
    drift = _wave_form(rng, (0.2, 0.4))
    return lambda t: Pose(yaw=1.2 * drift(t), pitch=0.8 * drift(t + 0.4))


def _turn(sign: float) -> Callable[[np.random.Generator], Callable[[float], Pose]]:
    def make(rng: np.random.Generator) -> Callable[[float], Pose]:
        ramp, start, end = _ramp(rng), rng.uniform(-6, 8), rng.uniform(30, 39)
        return lambda t: Pose(yaw=sign * (start + (end - start) * ramp(t)), gaze=(sign * 12 * ramp(t), 0.0))

    return make


def _look(sign: float) -> Callable[[np.random.Generator], Callable[[float], Pose]]:
    def make(rng: np.random.Generator) -> Callable[[float], Pose]:
        ramp, start, end = _ramp(rng), rng.uniform(-4, 3), rng.uniform(20, 27)
        return lambda t: Pose(pitch=sign * (start + (end - start) * ramp(t)), gaze=(0.0, sign * 14 * ramp(t)))

    return make


def _nod(rng: np.random.Generator) -> Callable[[float], Pose]:
    swing, size = _wave_form(rng, (1.6, 2.1)), rng.uniform(11, 15)
    return lambda t: Pose(pitch=-3 + size * swing(t))


def _shake(rng: np.random.Generator) -> Callable[[float], Pose]:
    swing, size = _wave_form(rng, (1.5, 2.0)), rng.uniform(18, 26)
    return lambda t: Pose(yaw=size * swing(t))


def _smile(rng: np.random.Generator) -> Callable[[float], Pose]:
    ramp = _ramp(rng)

    def at(t: float) -> Pose:
        s = ramp(t)
        units = _both("mouthSmile", 1.5 * s) | _both("cheekSquint", 0.8 * s) | _both("mouthUpperUp", 0.7 * s)
        return Pose(pitch=2 * s, units=units | {"jawOpen": 0.12 * s})

    return at


def _laugh(rng: np.random.Generator) -> Callable[[float], Pose]:
    swing = _wave_form(rng, (3.0, 3.6))
    lift = rng.uniform(6, 12)

    def at(t: float) -> Pose:
        s = 0.5 + 0.5 * swing(t)
        units = (
            _both("mouthSmile", 1.2) | _both("cheekSquint", 0.9) | _both("eyeSquint", 0.7) | {"jawOpen": 0.28 + 0.4 * s}
        )
        return Pose(pitch=lift + 4 * s, shift=(0.0, 0.010 * s), units=units)

    return at


def _talk(rng: np.random.Generator) -> Callable[[float], Pose]:
    open_, round_ = _wave_form(rng, (2.6, 3.4)), _wave_form(rng, (1.2, 1.8))

    def at(t: float) -> Pose:
        o, r = 0.5 + 0.5 * open_(t), 0.5 + 0.5 * round_(t)
        return Pose(
            yaw=2 * round_(t), pitch=1.5 * open_(t / 2), units={"jawOpen": 0.55 * o, "mouthFunnel": 0.7 * r * o}
        )

    return at


def _blink(rng: np.random.Generator) -> Callable[[float], Pose]:
    middles = (rng.uniform(0.2, 0.3), rng.uniform(0.65, 0.8))

    def at(t: float) -> Pose:
        closed = max(_ease(1.7 - abs(t - middle) / 0.11) for middle in middles)
        return Pose(units=_both("eyeBlink", closed))

    return at


def _raise_brows(rng: np.random.Generator) -> Callable[[float], Pose]:
    swing = _wave_form(rng, (0.9, 1.3))

    def at(t: float) -> Pose:
        s = _ease(0.5 + 0.8 * swing(t))
        units = _both("browOuterUp", 1.8 * s) | {"browInnerUp": 1.8 * s} | _both("eyeWide", 1.3 * s)
        return Pose(pitch=2 * s, units=units)

    return at


def _wave(rng: np.random.Generator) -> Callable[[float], Pose]:
    swing, size = _wave_form(rng, (1.7, 2.4)), rng.uniform(14, 20)
    return lambda t: Pose(roll=2 * swing(t / 2), wave=size * swing(t))


def _walk(rng: np.random.Generator) -> Callable[[float], Pose]:
    step, start, end = _wave_form(rng, (1.7, 2.1)), rng.uniform(0.58, 0.68), rng.uniform(1.02, 1.12)

    def at(t: float) -> Pose:
        return Pose(
            roll=1.5 * step(t / 2), shift=(0.008 * step(t / 2), 0.008 * step(t)), nearness=start + (end - start) * t
        )

    return at


def _sway(rng: np.random.Generator) -> Callable[[float], Pose]:
    swing = _wave_form(rng, (0.9, 1.2))
    return lambda t: Pose(roll=9 * swing(t), lean=2.5 * swing(t), shift=(0.022 * swing(t), 0.0))


ACTIONS: dict[str, Callable[[np.random.Generator], Callable[[float], Pose]]] = {
    "still": _still,
    "turn left": _turn(-1.0),
    "turn right": _turn(1.0),
    "look up": _look(1.0),
    "look down": _look(-1.0),
    "nod": _nod,
    "shake the head": _shake,
    "smile": _smile,
    "laugh": _laugh,
    "talk": _talk,
    "blink": _blink,
    "raise the brows": _raise_brows,
    "wave": _wave,
    "walk closer": _walk,
    "sway": _sway,
}
# These move the mouth or brows themselves and leave no room for an expression.
FACE_ACTIONS = frozenset({"smile", "laugh", "talk", "blink", "raise the brows"})


def motion(action: str, expression: str, frames: int, fps: float, rng: np.random.Generator) -> list[Pose]:
    """Poses of one video: the action plus small natural movement, an expression held throughout.

    Args:
        action: a key of `ACTIONS`.
        expression: a key of `EXPRESSIONS`; must be `neutral` for the actions of the face itself.
        rng: draws start, size, speed and phase.
    """
    if action in FACE_ACTIONS and expression != "neutral":
        raise ValueError(f"action {action!r} moves the face and takes the expression 'neutral', not {expression!r}")
    path = ACTIONS[action](rng)
    base_yaw, base_pitch, base_roll = rng.normal() * 5, rng.normal() * 2.5, rng.normal() * 1.5
    gaze = rng.normal(size=2) * 4
    strength = rng.uniform(0.8, 1.1)
    poses = []
    for i in range(frames):
        pose = path(i / fps)
        held = {name: strength * value for name, value in EXPRESSIONS[expression].items()}
        poses.append(
            Pose(
                yaw=float(np.clip(pose.yaw + base_yaw, -40, 40)),
                pitch=pose.pitch + base_pitch,
                roll=pose.roll + base_roll,
                gaze=(pose.gaze[0] + gaze[0], pose.gaze[1] + gaze[1]),
                units=held | pose.units,
                shift=pose.shift,
                lean=pose.lean,
                nearness=pose.nearness,
                wave=pose.wave,
            )
        )
    return poses
