"""Where the files of published rewards lie: paths of a profile's `[rewards]`, the weights folder, caches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from pvbench.errors import ProfileError, WeightsError
from pvbench.profile import Profile
from pvbench.weights.caches import cached_folder, cached_packs
from pvbench.weights.digests import weights_root
from pvbench.weights.layout import find_checkpoint
from pvbench.weights.presence import lacking_of_model, size_in_words
from pvbench.weights.published import PUBLISHED, located

Found = TypeVar("Found")

EVA, PARSER, PACK = "EVA02_CLIP_L_336_psz14_s6B.pt", "parsing_bisenet.pth", "models/antelopev2"
"""What is read of ConsisID's folder face_encoder: two files, and the folder of a pack."""
_FACE_ENCODER = "the folder face_encoder of https://huggingface.co/BestWishYsh/ConsisID-preview"


def all_found(*looks: Callable[[], Found]) -> list[Found]:
    """What each of the looks finds.

    Raises:
        WeightsError: some find nothing; the message is that of all of these.
    """
    found, missing = [], []
    for look in looks:
        try:
            found.append(look())
        except WeightsError as error:
            missing.append(str(error))
    if missing:
        raise WeightsError("\n".join(dict.fromkeys(missing)))
    return found


def pack_of(profile: Profile) -> tuple[Path, Path]:
    """The detector's and the recogniser's file of the pack that `[rewards] face` names.

    Raises:
        ProfileError: it names none.
        WeightsError: the pack is nowhere, or not whole.
    """
    from pvbench.features.published.insightface_faces import pack_files

    given = profile.rewards.get("face")
    if not isinstance(given, str):
        raise ProfileError(
            f"profile {profile.name!r} [rewards]: face is {given!r}; expected the name of a pack, such as buffalo_l, "
            f"or the path of its folder"
        )
    path = Path(given).expanduser()
    if path.is_dir():
        return pack_files(path)
    entry = PUBLISHED.get(given)
    if entry is not None and entry.part == "face":
        return pack_files(located(entry, option="rewards.face"))
    own = weights_root() / "insightface" / given
    kept = [folder for folder in cached_packs(given) if any(folder.glob("*.onnx"))]
    return pack_files(kept[0] if kept and not own.is_dir() else own)


def own_or_published(given: str, part: str, line: str) -> Path:
    """The file at a path, or, where there is none, the published weights of that name and part.

    Args:
        line: of `[rewards]`, by which messages call it.

    Raises:
        WeightsError: the published file is not there, or has another sha256.
    """
    entry, path = PUBLISHED.get(given), Path(given).expanduser()
    if entry is not None and entry.part == part and not path.is_file():
        return located(entry, option=f"rewards.{line}")
    return path


def brought(profile: Profile, line: str, publisher: str) -> Path:
    """The file or folder that a line of `[rewards]` names by its path, or by one below the weights folder.

    Args:
        publisher: whose it is, and how large, in the words of messages.

    Raises:
        ProfileError: the line names none.
        WeightsError: it is not there.
    """
    given = profile.rewards.get(line)
    if not isinstance(given, str):
        raise ProfileError(f"profile {profile.name!r} [rewards]: {line} is {given!r}; expected the path of {publisher}")
    path = Path(given).expanduser()
    path = path if path.exists() else weights_root() / given
    if not path.exists():
        raise WeightsError(
            f"profile {profile.name!r} [rewards]: there is no {path}; {publisher} on huggingface.co goes there, or set "
            f"{line} to where it lies"
        )
    return path


def image_encoder_of(profile: Profile) -> Path:
    """The folder of CLIP's image encoder that `[rewards] image_encoder` names, whole.

    Raises:
        ProfileError: it names none.
        WeightsError: it is not there, or lacks a file.
    """
    publisher = "the folder image_encoder of ID-Animator/ID-Animator (2.5 GB)"
    folder = brought(profile, "image_encoder", publisher)
    lacking = lacking_of_model(folder, "model", 2.5)
    if lacking:
        raise WeightsError(
            f"profile {profile.name!r} [rewards] image_encoder: {folder} lacks {lacking}; fetch {publisher} on "
            f"huggingface.co again"
        )
    return folder


def face_encoder_of(profile: Profile) -> Path:
    """ConsisID's folder of face networks; what is in it was not looked at.

    Raises:
        ProfileError: `[rewards] face_encoder` is not a path.
        WeightsError: the folder that it names is nowhere, or the checkpoint that has it by default.
    """
    given = profile.rewards.get("face_encoder")
    if given is None:
        base = str(profile.backbone.get("base"))
        return find_checkpoint(base, f"profile {profile.name!r} [backbone] base") / "face_encoder"
    if not isinstance(given, str):
        raise ProfileError(
            f"profile {profile.name!r} [rewards]: face_encoder is {given!r}; expected the path of {_FACE_ENCODER}"
        )
    places = [weights_root() / given, Path(given).expanduser()]
    for path in places:
        if path.is_dir():
            return path
    raise WeightsError(
        f"profile {profile.name!r} [rewards]: there is no folder {' nor '.join(map(str, places))}; {_FACE_ENCODER} "
        f"goes there ({_in_one_line(_CONTENT)}), or set face_encoder to where it lies"
    )


_CONTENT: Mapping[str, str] = {
    EVA: size_in_words(None),
    PARSER: size_in_words(None),
    PACK: f"{PUBLISHED['antelopev2'].megabytes} MB as InsightFace's zip",
}
"""What is read of the folder, and how large each is."""


def _in_one_line(sizes: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({size})" for name, size in sizes.items())


def check_face_encoder(folder: Path, where: str) -> Path:
    """The folder itself, if it holds all that is read of it.

    Raises:
        WeightsError: naming every file that is missing, its size and its publisher; or the pack is damaged.
    """
    from pvbench.features.published.insightface_faces import pack_files

    sizes = {name: size for name, size in _CONTENT.items() if name != PACK and not (folder / name).is_file()}
    wrong = []
    try:
        pack_files(folder / PACK)
    except WeightsError as error:
        pack = PUBLISHED["antelopev2"].files
        gone = [f"{PACK}/{name}" for name in map(_last, pack) if not (folder / PACK / name).is_file()]
        cache = cached_folder(pack)
        if not gone:
            wrong.append(f"{where}: {error}")
        else:
            sizes[" and ".join(gone)] = _CONTENT[PACK] + (
                f"; {cache} holds them: copy them from there" if cache else ""
            )
    if sizes:
        wrong.append(
            f"{where}: {folder} lacks {_in_one_line(sizes)}; fetch the whole of {_FACE_ENCODER}, or name a folder that "
            f"has them with --weights rewards.face_encoder=PATH"
        )
    if wrong:
        raise WeightsError("\n".join(wrong))
    return folder


def _last(file: str) -> str:
    return Path(file).name
