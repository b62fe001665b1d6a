"""Identities: a person to be shown, as a folder of photos, with a card or without."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from os.path import isdir, isfile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from pvbench.digest import digest
from pvbench.errors import IdentityError, VideoError, counted, did_you_mean
from pvbench.near_copies import is_near_copy
from pvbench.toml import only_fields, read_toml
from pvbench.video import PICTURE_SUFFIXES, read_picture

NOBODY = "-"
"""Stands in reports where nothing says whom a video shows."""

CARD = "card.toml"
CLASS_NOUNS = ("man", "woman", "person")
SMALLEST_SIDE = 64


@dataclass(frozen=True)
class Identity:
    """One person: what the card says, and where the reference images lie."""

    name: str
    class_noun: str
    folder: Path
    images: tuple[Path, ...]
    licence: str
    consent: str
    source: str
    description: str
    captions: tuple[str, ...] = ()
    """What each photo shows beside the person, with `<V>` for them, as in "a <V> in a red shirt on a beach": words that
    tuning on the photo then need not learn. `a <V>` where the card has none."""
    scoring: tuple[Path, ...] = ()
    """Photos that no method sees: with them videos are compared. Where there are none, with those that are tuned on."""
    plain: bool = False
    """Whether this is a folder of photos without a card: a photo of it that cannot serve is left out."""
    left_out: tuple[str, ...] = ()
    """What is wrong with photos that were left out."""

    @cached_property
    def digest(self) -> str:
        """Sha256, in hex, of the images and of what the card says that runs use: not of licence, consent and source."""
        total = sha256(digest([self.name, self.class_noun, self.description, self.captions]).encode())
        for image in self.images:
            total.update(sha256(image.read_bytes()).digest())
        return total.hexdigest()

    def references(self) -> list[UInt8[np.ndarray, "_ _ 3"]]:
        """The reference images in RGB, in the card's order.

        Raises:
            IdentityError: for an image that does not decode or is smaller than 64 pixels on a side.
        """
        return [_read_image(image, self.name) for image in self.images]

    @property
    def scored_with(self) -> tuple[Path, ...]:
        """The photos with which videos are compared: those kept for it, or, without any, those that are tuned on."""
        return self.scoring or self.images

    @cached_property
    def scoring_digest(self) -> str:
        """Sha256, in hex, of the photos with which videos are compared."""
        return self._photos_digest(self.scored_with)

    @cached_property
    def tuned_digest(self) -> str:
        """Sha256, in hex, of the photos that methods are tuned on."""
        return self._photos_digest(self.images)

    def _photos_digest(self, images: tuple[Path, ...]) -> str:
        # A plain folder may be scored without one of its photos, which one with a card may not.
        kind = ["plain"] if self.plain else []
        return digest([*kind, *(sha256(image.read_bytes()).hexdigest() for image in images)])

    def called(self, class_noun: str) -> Identity:
        """The same person without a card, under another class noun."""
        return replace(self, class_noun=class_noun, description=f"a {class_noun}")

    def with_photos_apart(self) -> Identity:
        """The same person of a folder without a card, of whose photos some are kept for scoring and not tuned on.

        These are the last third by name, one at least and two at most. A photo of which there is a near copy is not
        among them; where none is left, nor with a single photo, or with a card, nothing changes.
        """
        if not self.plain or self.scoring or len(self.images) == 1:
            return self
        photos = dict(zip(self.images, self.references(), strict=True))
        alone = [
            path
            for path, photo in photos.items()
            if not any(is_near_copy(photo, other) for name, other in photos.items() if name != path)
        ]
        kept = alone[-min(2, max(1, len(photos) // 3)) :]
        tuned = tuple(path for path in self.images if path not in kept)
        return replace(self, images=tuned, captions=self.captions[: len(tuned)], scoring=tuple(kept))

    def scoring_photos(self) -> list[UInt8[np.ndarray, "_ _ 3"]]:
        """The photos with which videos are compared, in RGB.

        Raises:
            IdentityError: for an image that does not decode or is smaller than 64 pixels on a side.
        """
        return [_read_image(image, self.name) for image in self.scored_with]


def load_identity(folder: Path) -> Identity:
    """The identity that a folder describes, checked, every image decoded once.

    With a `card.toml` it has what that says; without one its photos are all pictures in it, its name is the folder's
    and its class noun `person`. A single picture is a person with one photo, named after it.

    Raises:
        IdentityError: naming the file and the field that is wrong.
    """
    card = folder / CARD
    if _is_picture(folder):
        stem = folder.stem if not folder.stem.isdecimal() else f"{folder.resolve().parent.name}-{folder.stem}"
        return _plain(stem, folder.parent, (folder,), f"{folder} is not a photo that can be read")
    if not isfile(card):  # noqa: PTH113 - the path's own method raises for a name that is too long
        return _load_plain(folder)
    fields: dict[str, Any] = {"class_noun": CLASS_NOUNS[-1]} | read_toml(card, IdentityError)
    only_fields(fields, _FIELDS, str(card), IdentityError)
    texts: dict[str, Any] = {name: _text(fields, name, card) for name in _FIELDS if name not in _LISTS}
    if texts["class_noun"] not in CLASS_NOUNS:
        raise IdentityError(f"{card}: class_noun is {texts['class_noun']!r}; expected {', '.join(CLASS_NOUNS)}")
    if not texts["name"].replace("-", "").replace("_", "").isalnum():
        raise IdentityError(f"{card}: name is {texts['name']!r}; a name has letters, digits, - and _ only")
    images = _images(fields, folder, "images")
    scoring = _images(fields, folder, "scoring_images") if "scoring_images" in fields else ()
    captions = _captions(fields, len(images), card)
    identity = Identity(**texts, folder=folder, images=images, captions=captions, scoring=scoring)
    _check_apart(identity, card)
    return identity


def photos_in(folder: Path) -> tuple[Path, ...]:
    """The pictures in a folder, by name, those of formats that are not read (HEIC) included; none where it is none."""
    if not isdir(folder):  # noqa: PTH112 - the path's own method raises for a name that is too long
        return ()
    files = (path for path in folder.iterdir() if path.suffix.lower() in _PHOTOS and not path.name.startswith("."))
    return tuple(sorted(path for path in files if path.is_file()))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _PHOTOS and isfile(path)  # noqa: PTH113 - as above


def _load_plain(folder: Path) -> Identity:
    photos = photos_in(folder)
    people = list_identities(folder) if not photos and isdir(folder) else ()  # noqa: PTH112 - as above
    if people:
        raise IdentityError(
            f"{folder} holds the folders of {counted(len(people), 'person', 'people')}; name one of them, such as "
            f"{folder / people[0]}"
        )
    found = "" if photos else f", and no photos ({', '.join(PICTURE_SUFFIXES)})"
    return _plain(folder.resolve().name, folder, photos, f"no {CARD} in {folder}{found}")


def _plain(called: str, folder: Path, photos: Sequence[Path], problem: str) -> Identity:
    """The person that photos alone show; where none can be used, an error that begins with the problem."""
    name = re.sub(r"[^\w-]+", "-", called).strip("-_")
    usable, wrong = [], []
    for path in photos:
        try:
            _read_image(path, name)
        except IdentityError as error:
            wrong.append(str(error))
        else:
            usable.append(path)
    if not usable:
        found = f": {'; '.join(wrong)}" if wrong else ""
        raise IdentityError(
            f"{problem}{found}; an identity is a photo or a folder of photos, with a {CARD} where names, licences "
            f"or photos for scoring are to be said"
        )
    return Identity(
        name=name,
        class_noun=CLASS_NOUNS[-1],
        folder=folder,
        images=tuple(usable),
        licence="not said",
        consent="not said",
        source="not said",
        description="a person",
        captions=(f"a {_PERSON}",) * len(usable),
        plain=True,
        left_out=tuple(wrong),
    )


def _check_apart(identity: Identity, card: Path) -> None:
    """Decodes every photo, and refuses one that is tuned on and scores as well."""
    tuned = dict(zip(identity.images, identity.references(), strict=True))
    if not identity.scoring:
        return
    for path, pixels in zip(identity.scoring, identity.scoring_photos(), strict=True):
        for other, theirs in tuned.items():
            if is_near_copy(pixels, theirs):
                raise IdentityError(
                    f"{card}: scoring_images lists {path.name!r}, the same picture as {other.name!r} of images, or "
                    f"nearly; what is tuned on may not score: take other photos, or leave scoring_images out"
                )


SPLITS = ("benchmark", "development")
"""The people that are scored and published, and those on whom every choice is made."""


def split_root(split: str) -> Path:
    """The folder with the identities of a split that pvbench ships.

    Raises:
        IdentityError: for an unknown split.
    """
    if split not in SPLITS:
        raise IdentityError(f"unknown split {split!r}{did_you_mean(split, SPLITS)}; expected {' or '.join(SPLITS)}")
    return _root(None) if split == SPLITS[0] else _root(None) / split


def is_shipped(identity: Identity) -> bool:
    """Whether it is a person of pvbench's own, and not one of the same name."""
    return identity.folder.resolve().parent in [split_root(split).resolve() for split in SPLITS]


def list_identities(root: Path | None = None) -> tuple[str, ...]:
    """Names of the identities below `root` (default: those that pvbench ships), in alphabetical order.

    They are its folders that hold a card or photos.
    """
    if root is None:
        return tuple(sorted(card.parent.name for card in _root(None).glob(f"*/{CARD}")))
    folders = root.iterdir() if root.is_dir() else ()
    return tuple(sorted(folder.name for folder in folders if folder.is_dir() and is_identity(folder)))


def is_identity(folder: Path) -> bool:
    """Whether a folder holds a card, or photos; or it is a photo itself."""
    return isfile(folder / CARD) or bool(photos_in(folder)) or _is_picture(folder)  # noqa: PTH113 - as above


def load_identities(names: Sequence[str] | None = None, root: Path | None = None) -> tuple[Identity, ...]:
    """The named identities in the order given; all below `root`, in alphabetical order, without names.

    A name with a path separator is a folder anywhere: a person's, or one that holds a folder for each person.

    Raises:
        IdentityError: for an unknown or repeated name, or an identity that does not load.
    """
    root = _root(root)
    known = list_identities(root)
    if names is None:
        names = known
    if not names:
        raise IdentityError(f"no identities in {root}; add a folder of photos for each person")
    identities: list[Identity] = []
    for name in names:
        if "/" in name:
            identities.extend(_people_at(Path(name)))
        elif name in known:
            identities.append(load_identity(root / name))
        else:
            own = f"give ./{name}, which is there," if isdir(name) else "give a path with a /"  # noqa: PTH112
            raise IdentityError(
                f"unknown identity {name!r}{did_you_mean(name, known)}; there are {', '.join(known)}; "
                f"{own} for a folder of your own"
            )
    seen: set[str] = set()
    for identity in identities:
        if identity.name in seen:
            raise IdentityError(
                f"two identities are named {identity.name!r}; name each once, and give your own "
                f"folders other names in their {CARD}"
            )
        seen.add(identity.name)
    return tuple(identities)


def _people_at(folder: Path) -> tuple[Identity, ...]:
    """The person of a folder, or those of the folders in it."""
    people = () if is_identity(folder) else list_identities(folder)
    return tuple(load_identity(folder / name) for name in people) or (load_identity(folder),)


_LISTS = ("images", "scoring_images", "captions")
_FIELDS = ("name", "class_noun", "description", "licence", "consent", "source", *_LISTS)
_PERSON = "<V>"
_NOT_READ = {
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIC"),
    **dict.fromkeys((".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"), "a camera's raw format"),
    ".jxl": "JPEG XL",
    ".svg": "SVG",
    ".psd": "Photoshop's format",
}
"""What photos are in that phones, cameras and editors write and that are not read, by suffix."""
_PHOTOS = (*PICTURE_SUFFIXES, ".gif", *_NOT_READ)
"""Suffixes of what is meant as a photo; of a GIF the first frame is one."""


def _root(root: Path | None) -> Path:
    return Path(str(files("pvbench.identities"))) if root is None else root


def _text(fields: dict[str, Any], name: str, card: Path) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        got = "is missing" if name not in fields else f"is {value!r}"
        raise IdentityError(f"{card}: {name} {got}; expected a text")
    return value


def _captions(fields: dict[str, Any], photos: int, card: Path) -> tuple[str, ...]:
    texts = fields.get("captions", [f"a {_PERSON}"] * photos)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise IdentityError(f"{card}: captions is {texts!r}; expected a list of texts, one for each image")
    if len(texts) != photos:
        raise IdentityError(f"{card}: there are {len(texts)} captions for {photos} images; expected one for each")
    for text in texts:
        if text.count(_PERSON) != 1:
            raise IdentityError(
                f"{card}: the caption {text!r} names the person {text.count(_PERSON)} times; expected "
                f"{_PERSON} once, as in 'a {_PERSON} in a red shirt on a beach'"
            )
    return tuple(texts)


def _images(fields: dict[str, Any], folder: Path, field: str) -> tuple[Path, ...]:
    card = folder / CARD
    names = fields.get(field)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise IdentityError(f"{card}: {field} is {names!r}; expected a list of file names, at least one")
    if len(set(names)) < len(names):
        raise IdentityError(f"{card}: {field} names a file twice; name each once")
    images = []
    for name in names:
        image = folder / name
        if not image.resolve().is_relative_to(folder.resolve()):
            raise IdentityError(f"{card}: {field} lists {name!r}, which is outside {folder}; move the image in there")
        if not image.is_file():
            raise IdentityError(
                f"{card}: {field} lists {name!r}, which is not in that folder; add the image or remove the name"
            )
        images.append(image)
    return tuple(images)


_HEADS = {b"ftyp" + brand: "HEIC" for brand in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")}
"""What files begin with, behind their first four bytes, that are in such a format whatever they are called."""


def _head_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(12)[4:]
    except OSError:
        return b""


def _read_image(path: Path, name: str) -> UInt8[np.ndarray, "H W 3"]:
    written_in = _NOT_READ.get(path.suffix.lower()) or _HEADS.get(_head_of(path), "")
    if written_in:
        phone = " (on a phone: share it as 'most compatible')" if written_in == "HEIC" else ""
        raise IdentityError(
            f"identity {name!r}: {path} is in {written_in}, which is not read; save it as JPEG{phone} and remove this "
            f"one"
        )
    try:
        pixels = read_picture(path)
    except VideoError as error:
        raise IdentityError(
            f"identity {name!r}: {path} does not decode as an image ({error.__cause__ or error}); replace the file"
        ) from error
    height, width = pixels.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        raise IdentityError(
            f"identity {name!r}: {path} is {width}x{height} pixels; expected at least {SMALLEST_SIDE} on each side"
        )
    return np.array(pixels)
