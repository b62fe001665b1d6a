"""A control: a reference photo's face pasted into the untuned model's video. It shows what a copied face earns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, UInt8

from pvbench.errors import FaceError, MethodError, SettingError
from pvbench.identity import Identity
from pvbench.method import Adapter, Method, Request, Role
from pvbench.pixels import resize_photo, to_tensor
from pvbench.reward import IDENTITY_REWARD, IdentityReward, load_identity_reward
from pvbench.style import Style
from pvbench.video import Video


@dataclass(frozen=True)
class PasteFaceSettings:
    """How much of the photo is pasted.

    Attributes:
        reach: half the width of the pasted ellipse in distances between the eyes, above 0; its edge is soft.

    Raises:
        SettingError: a value is out of its range.
    """

    reach: float = 1.1

    def __post_init__(self) -> None:
        if self.reach <= 0:
            raise SettingError(f"reach is {self.reach}; expected a number above 0")


class PasteFace(Method):
    """The untuned model's video, over whose face the first reference photo's lies: moved, turned and scaled to fit.

    Five landmarks say where, as the identity reward's detector finds them; frames without a face stay as they are.
    """

    name: ClassVar[str] = "paste_face"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "control: the first reference photo's face pasted into the untuned video"
    tunes: ClassVar[bool] = False
    Settings: ClassVar[type] = PasteFaceSettings
    role: ClassVar[Role] = "control"

    settings: PasteFaceSettings
    _reward: IdentityReward | None = None

    @classmethod
    def check_style(cls, style: Style) -> None:
        """Refuses every style: the face that is pasted in is a photo's.

        Raises:
            MethodError: always.
        """
        raise MethodError(f"method {cls.name!r} pastes a photo, which is in no style; leave {style.name!r} out")

    @classmethod
    def asks(cls, settings: Any) -> frozenset[str]:
        """A face detector, which comes with the identity reward."""
        return frozenset({IDENTITY_REWARD})

    def generate(self, identity: Identity, adapter: Adapter | None, requests: Sequence[Request]) -> Iterator[Video]:
        """One video for each request.

        Raises:
            FaceError: no face is found in the first reference photo.
        """
        sampling = self.profile.sampling
        photo = resize_photo(identity.references()[0], sampling.height, sampling.width)
        (face,) = self._landmarks(photo[None])
        if np.isnan(face).any():
            raise FaceError(f"no face is found in {identity.images[0]}; replace the photo")
        self.backbone.reset()
        for request in requests:
            video = self.backbone.sample(request.prompt.render(identity.class_noun), request.noise_seed)
            places = self._landmarks(video.frames)
            frames = [
                frame if np.isnan(place).any() else pasted(frame, place, photo, face, self.settings.reach)
                for frame, place in zip(video.frames, places, strict=True)
            ]
            yield Video(np.stack(frames), video.fps)

    def _landmarks(self, frames: UInt8[np.ndarray, "n H W 3"]) -> Float[np.ndarray, "n 5 2"]:
        if self._reward is None:
            self._reward = load_identity_reward(self.profile, str(self.backbone.device))
        found: np.ndarray = self._reward.landmarks(to_tensor(frames, self.backbone.device)).cpu().numpy()
        return found.astype(np.float64)


def pasted(
    frame: UInt8[np.ndarray, "H W 3"],
    place: Float[np.ndarray, "5 2"],
    photo: UInt8[np.ndarray, "h w 3"],
    face: Float[np.ndarray, "5 2"],
    reach: float,
) -> UInt8[np.ndarray, "H W 3"]:
    """The frame with the photo's face at its landmarks, by the similarity of least squares.

    Args:
        place, face: landmarks in the frame and in the photo, x and y in pixels, the eyes first.
        reach: half the ellipse's width in distances between the photo's eyes; it is 1.3 times as high as wide.
    """
    import cv2

    size = (frame.shape[1], frame.shape[0])
    matrix = _similarity(face, place)
    middle, eyes = face.mean(axis=0), float(np.linalg.norm(face[1] - face[0]))
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]].astype(np.float64) + 0.5
    away = np.hypot((x - middle[0]) / reach, (y - middle[1]) / (1.3 * reach)) / eyes
    # Full inside of 70 % of the ellipse, gone at its edge.
    cover = np.clip((1 - away) / 0.3, 0, 1).astype(np.float32)
    moved = cv2.warpAffine(photo, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.warpAffine(cover, matrix, size, flags=cv2.INTER_LINEAR)[..., None]
    mixed = frame + share * (moved.astype(np.float32) - frame)
    found: np.ndarray = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return found


def _similarity(points: Float[np.ndarray, "n 2"], places: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "2 3"]:
    """The turn, scale and shift that take points nearest to places, as OpenCV takes it, with pixels' middles whole."""
    p, q = (value[:, 0] - 0.5 + 1j * (value[:, 1] - 0.5) for value in (points, places))
    centred = p - p.mean()
    turn = (centred.conj() @ (q - q.mean())) / (centred.conj() @ centred).real
    shift = q.mean() - turn * p.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
