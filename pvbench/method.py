"""The one interface of methods: (backbone, identity) to an adapter, (adapter, prompt, seed) to a video."""

from __future__ import annotations

import dataclasses
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from pvbench.atomic import replacing
from pvbench.digest import file_digest, stable_seed
from pvbench.errors import MethodError, SettingError, StoreError, did_you_mean
from pvbench.identity import Identity
from pvbench.profile import Profile
from pvbench.prompt import Prompt, PromptSet
from pvbench.registry import Registry
from pvbench.style import SETTING, Style
from pvbench.video import Video

if TYPE_CHECKING:
    import torch

    from pvbench.backbone import Backbone

Role = Literal["method", "floor", "ceiling", "control", "retake"]
"""Which part a row plays: a method competes; the untuned model is the floor; the truth is the ceiling, and a retake is
the truth once more, by other chance; a control does what a metric can be cheated by."""

Progress = Callable[[int, int, Mapping[str, float]], None]
"""Called with the step done, the number of steps and the losses of that step."""
Told = Callable[[int, Mapping[str, float]], None]
"""The same of a part of a tuning, which does not know how many steps the whole has."""


@dataclass(frozen=True, eq=False)
class Adapter:
    """What a method learned for one identity.

    `tensors` has diffusers' LoRA keys ("unet....lora_A.weight"); `span` is the part of the denoising steps, from 0
    (noise) to 1 (frame), in which the adapter is active; `info` holds figures worth keeping, none that change from run
    to run, such as times. `tokens` are learned words, vectors (n, width) by name, and `text_encoder` is the digest of
    the one that they were learned with; `pvbench.keyword` makes and uses them.

    Raises:
        MethodError: for a span that is not 0 <= start < end <= 1.
    """

    tensors: Mapping[str, torch.Tensor]
    span: tuple[float, float] = (0.0, 1.0)
    info: Mapping[str, float | int | str] = field(default_factory=dict)
    tokens: Mapping[str, torch.Tensor] = field(default_factory=dict)
    text_encoder: str = ""

    def __post_init__(self) -> None:
        start, end = self.span
        if not 0 <= start < end <= 1:
            raise MethodError(
                f"an adapter's span is {self.span}; expected 0 <= start < end <= 1, as shares of the denoising steps"
            )


@dataclass(frozen=True)
class Request:
    """One video to make. Every method starts from `noise_seed`'s latent, which is the same for all of them."""

    prompt: Prompt
    seed: int
    noise_seed: int


def request_for(identity: Identity, prompt: Prompt, seed: int) -> Request:
    """The request for one cell of the grid."""
    return Request(prompt, seed, stable_seed(identity.name, prompt.id, seed))


class Method(ABC):
    """What a plug-in's author subclasses; the entry point group is `pvbench.methods`.

    `version` rises with every change that moves a video: cells made by an older one are made again. `Settings` is a
    frozen dataclass whose fields all have defaults, of the types bool, int, float, str, `Literal` of these and tuples
    of them; its `__post_init__` may raise `SettingError`. `role` says whether it competes. `asks` says what it needs of
    a backbone and of rewards. Where `uses_backbone` is false, `backbone` is None, and a changed backbone leaves the
    method's videos as they are. Where `in_all` is false, `--methods all` leaves the method out. A worker keeps one
    backbone for all methods: what one leaves in it, such as an adapter, `Backbone.reset` takes out before the next.
    `pvbench.testing.MethodContract` tests all of this.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    summary: ClassVar[str]
    tunes: ClassVar[bool]
    Settings: ClassVar[type[Any]]
    uses_backbone: ClassVar[bool] = True
    in_all: ClassVar[bool] = True
    role: ClassVar[Role] = "method"

    settings: Any
    backbone: Backbone
    style: Style | None = None
    """What the row's videos are drawn in; None in tuning. A backbone wears it already, and prompts end in its words."""

    def __init__(self, settings: Any, backbone: Backbone | None, profile: Profile) -> None:
        self.settings = settings
        # None only where `uses_backbone` is false.
        self.backbone = backbone  # type: ignore[assignment]
        self.profile = profile

    def tune(self, identity: Identity, prompts: PromptSet, *, seed: int, progress: Progress) -> Adapter:
        """The adapter for one identity; the same arguments give the same bytes.

        `prompts` are the simulated ones. Called only where `tunes` is true.
        """
        raise MethodError(f"method {self.name!r} says that it tunes, but has no tune(); define it or set tunes = False")

    @abstractmethod
    def generate(self, identity: Identity, adapter: Adapter | None, requests: Sequence[Request]) -> Iterator[Video]:
        """One video for each request, in order, each yielded as soon as it is there.

        A video depends on its own request only: requests made together and one by one give the same bytes, so that a
        run that was killed and goes on ends with the videos of one that was not.
        """

    @classmethod
    def data_digest(cls, profile: Profile) -> str:
        """Digest of data files of the method's own that its videos depend on; '' without any."""
        return ""

    @classmethod
    def files_digest(cls, settings: Any, identity: Identity) -> str:
        """Digest of files of the user's, named by the settings, that a person's videos depend on; '' without any.

        Their paths are not part of a key: the settings that hold them are declared with `place`.
        """
        return ""

    @classmethod
    def licence(cls, settings: Any) -> str:
        """What the publisher of a program or of weights of the method's own allows; '' without any."""
        return ""

    @classmethod
    def gpu_gib(cls, settings: Any) -> float:
        """GiB of a GPU that the method takes without the backbone, where somebody says so; else 0."""
        return 0.0

    @classmethod  # noqa: B027 - most methods can work with every input
    def check(cls, settings: Any, profile: Profile, identities: Sequence[Identity], prompts: PromptSet) -> None:
        """Refuses inputs that the method could not tune on, before anything is loaded; by default none.

        Called with the simulated prompts and with those that are scored.

        Raises:
            SettingError: a setting does not fit the profile, an identity or the prompts.
        """

    @classmethod
    def check_style(cls, style: Style) -> None:
        """Refuses a style that cannot reach the method's videos; by default all where no backbone is used.

        Raises:
            MethodError: the videos would not be in the style.
        """
        if not cls.uses_backbone:
            raise MethodError(f"method {cls.name!r} samples no backbone, so that no style can reach its videos")

    @classmethod
    def asks(cls, settings: Any) -> frozenset[str]:
        """What the method needs under these settings, by default nothing.

        Names of `pvbench.backbone` (`LATENTS`, `IMAGES`, `LORA`, `TOKENS`, `IMAGE_PROMPT`, `WORLD`), which a backbone's
        loader offers, of `pvbench.reward` (`IDENTITY_REWARD`, `SEMANTIC_REWARD`), which a profile's `[rewards]` name,
        or names that a backbone of the method's own package offers.
        """
        return frozenset()


def place() -> Any:
    """A setting that holds the path of a file or folder of the user's: what lies there is part of a key, not where."""
    return field(default="", metadata={_PLACE: True})


def added(default: Any) -> Any:
    """A setting that came after others: at its default the method does what it did, and keys are as they were.

    Args:
        default: the value under which nothing changes.
    """
    return field(default=default, metadata={_ADDED: default})


def sampling_only(default: Any) -> Any:
    """A setting that acts when videos are sampled, and not in tuning: rows that differ in it share their adapters.

    An adapter is tuned with the default in its place, so that it cannot depend on the setting.

    Args:
        default: the default value, or what `added` returned.
    """
    if isinstance(default, dataclasses.Field):
        return field(default=default.default, metadata={**default.metadata, _SAMPLING: True})
    return field(default=default, metadata={_SAMPLING: True})


def in_sampling_alone(settings: type[Any]) -> frozenset[str]:
    """Names of the settings that were declared with `sampling_only`."""
    return frozenset(one.name for one in dataclasses.fields(settings) if _SAMPLING in one.metadata)


def tuned_with(settings: Any) -> Any:
    """The settings that an adapter is tuned with: the same, but those of sampling alone have their defaults."""
    defaults = {one.name: one.default for one in dataclasses.fields(settings) if _SAMPLING in one.metadata}
    return dataclasses.replace(settings, **defaults) if defaults else settings


def keyed(settings: Any) -> dict[str, Any]:
    """The settings by name that keys rest on: all but places, and but added ones that have their default."""
    values: dict[str, Any] = dataclasses.asdict(settings)
    return {
        one.name: values[one.name]
        for one in dataclasses.fields(settings)
        if _PLACE not in one.metadata and (_ADDED not in one.metadata or values[one.name] != one.metadata[_ADDED])
    }


_PLACE, _ADDED, _SAMPLING = "place", "added", "sampling"


def _check_method(where: str, cls: type[Method]) -> None:
    if not dataclasses.is_dataclass(cls.Settings):
        raise MethodError(f"{where}.Settings is not a dataclass; make it a frozen one with defaults")
    needed = [
        field.name
        for field in dataclasses.fields(cls.Settings)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if needed:
        raise MethodError(f"{where}: the setting {needed[0]!r} has no default; every setting needs one")
    if SETTING in [field.name for field in dataclasses.fields(cls.Settings)]:
        raise MethodError(f"{where}: {SETTING!r} is what any row is drawn in; give the setting another name")


METHODS: Registry[Method] = Registry(
    "method", Method, MethodError, ("version", "summary", "tunes", "Settings"), _check_method  # type: ignore[type-abstract]
)  # fmt: skip


def settings_from(settings: type[Any], values: Mapping[str, Any], where: str = "settings") -> Any:
    """An instance of the dataclass `settings` with `values`, as TOML or the command line gives them.

    Texts are read as the field's type: on, yes, true, off, no, false for bool, numbers, comma-less tuples with "+"
    between the items.

    Raises:
        SettingError: for an unknown name, a value of the wrong type, or one that the class itself refuses.
    """
    names = [field.name for field in dataclasses.fields(settings)]
    types = get_type_hints(settings)
    converted = {}
    for name, value in values.items():
        if name not in names:
            takes = f"it takes {', '.join(names)}" if names else "it takes none"
            raise SettingError(f"{where}: unknown setting {name!r}{did_you_mean(name, names)}; {takes}")
        try:
            converted[name] = _converted(value, types[name])
        except ValueError:
            raise SettingError(f"{where}: {name} is {value!r}; expected {_described(types[name])}") from None
    try:
        return settings(**converted)
    except SettingError as error:
        raise SettingError(f"{where}: {error}") from error


_SPELLED = {"on": True, "yes": True, "true": True, "off": False, "no": False, "false": False}


def _converted(value: Any, kind: Any) -> Any:
    """`value` as `kind`; ValueError where it is no such thing."""
    if get_origin(kind) is Literal:
        for choice in get_args(kind):
            if value == choice or (isinstance(value, str) and not isinstance(choice, bool) and value == str(choice)):
                return choice
        raise ValueError
    if get_origin(kind) is tuple:
        items = value.split("+") if isinstance(value, str) else value
        kinds = get_args(kind)
        if not isinstance(items, list | tuple):
            raise ValueError
        if kinds[-1] is Ellipsis:
            kinds = (kinds[0],) * len(items)
        return tuple(_converted(item, item_kind) for item, item_kind in zip(items, kinds, strict=True))
    if kind is bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in _SPELLED:
            return _SPELLED[value.lower()]
        raise ValueError
    if kind in (int, float):
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float | str)
            or (kind is int and isinstance(value, float))
        ):
            raise ValueError
        number = kind(value)
        if number != number or number in (float("inf"), float("-inf")):
            raise ValueError
        return number
    if kind is str and isinstance(value, str):
        return value
    raise ValueError


def _described(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(kind))
    if get_origin(kind) is tuple:
        return "a list of " + _described(get_args(kind)[0]).removeprefix("a ").removeprefix("an ") + "s"
    names = {bool: "on or off", int: "an integer", float: "a number", str: "a text"}
    return names.get(kind, str(kind))


_HEADER = "pvbench"


def tokens_path(path: Path) -> Path:
    """Where the learned words of the adapter at `path` lie: `ada.safetensors` has `ada.tokens.safetensors`."""
    return path.with_suffix(".tokens.safetensors")


def save_adapter(path: Path, adapter: Adapter) -> None:
    """`path` holds the adapter as safetensors, which diffusers' `load_lora_weights` reads; same adapter, same bytes.

    Learned words lie beside it, see `tokens_path`, as diffusers' `load_textual_inversion` reads them.

    Raises:
        StoreError: for a folder that cannot be written or a full disk.
    """
    told = {"span": list(adapter.span), "info": dict(adapter.info)}
    if adapter.tokens:
        # The words first: where the adapter is, all of it is.
        told["text_encoder"] = adapter.text_encoder
        told["tokens"] = sha256(_write_tensors(tokens_path(path), adapter.tokens, {})).hexdigest()
    _write_tensors(path, adapter.tensors, told)


def _write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], told: Mapping[str, Any]) -> bytes:
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One key only: safetensors writes several in no fixed order.
    content: bytes = save(plain, metadata={_HEADER: json.dumps(told, sort_keys=True)})
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)
    return content


def load_adapter(path: Path) -> Adapter:
    """The adapter that `save_adapter` wrote, on the CPU.

    Raises:
        StoreError: for a file that is missing, corrupt, or no adapter of pvbench.
    """
    tensors, header = _read_tensors(path)
    if header is None:
        raise StoreError(
            f"adapter {path} was not written by pvbench: its header has no {_HEADER!r} entry; use an "
            f"adapter from a run's adapters folder"
        )
    fields = json.loads(header)
    tokens: dict[str, torch.Tensor] = {}
    if "tokens" in fields:
        words = tokens_path(path)
        tokens, _ = _read_tensors(words)
        if file_digest(words) != fields["tokens"]:
            raise StoreError(
                f"{words} does not hold the words that adapter {path} was tuned with; delete both and run "
                f"the same command again"
            )
    return Adapter(tensors, tuple(fields["span"]), fields["info"], tokens, fields.get("text_encoder", ""))


def words_digest(metadata: Mapping[str, str] | None) -> str | None:
    """Sha256, in hex, of the file of learned words that an adapter's metadata asks for; None where it asks for none."""
    found = json.loads((metadata or {}).get(_HEADER, "{}")).get("tokens")
    return None if found is None else str(found)


def _read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], str | None]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(_HEADER)
            return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118 (no iterator)
    except (SafetensorError, OSError) as error:
        raise StoreError(
            f"adapter {path} cannot be read ({error}); delete it and run the same command again"
        ) from error
