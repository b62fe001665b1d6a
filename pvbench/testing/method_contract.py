"""What every method keeps, as tests: subclass `MethodContract` in a test file of the plug-in's own.

    from pvbench.testing import MethodContract

    class TestMyMethod(MethodContract):
        method = MyMethod
        settings = {"steps": 2}          # a cheap setting: the suite tunes and samples a few times

By default the suite takes the profile `mini`, its backbone on the CPU, the first identity and the first prompts.
Override the fixtures `profile`, `backbone`, `identity`, `evaluation` or `simulated` for others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from pvbench.backbone import Backbone, backbone_loader, load_backbone
from pvbench.digest import digest
from pvbench.identity import Identity, load_identities
from pvbench.method import METHODS, Adapter, Method, Request, load_adapter, request_for, save_adapter, settings_from
from pvbench.profile import Profile, load_profile
from pvbench.prompt import Prompt, PromptSet, load_prompts
from pvbench.video import Video


class MethodContract:
    """Tests of one method. Set `method`, and `settings` where the defaults take long."""

    method: ClassVar[type[Method]]
    settings: ClassVar[Mapping[str, Any]] = {}
    profile_name: ClassVar[str] = "mini"

    @pytest.fixture(scope="class")
    @classmethod
    def profile(cls) -> Profile:
        """The set-up that the method is tested in."""
        return load_profile(cls.profile_name)

    @pytest.fixture(scope="class")
    @classmethod
    def backbone(cls, profile: Profile) -> Backbone | None:
        """The backbone, on the CPU; None for a method that does without."""
        return load_backbone(profile, "cpu") if cls.method.uses_backbone else None

    @pytest.fixture(scope="class")
    @classmethod
    def identity(cls) -> Identity:
        """The person."""
        return load_identities()[0]

    @pytest.fixture(scope="class")
    @classmethod
    def evaluation(cls, profile: Profile) -> Sequence[Prompt]:
        """Two prompts to make videos of."""
        return load_prompts(profile.prompts.evaluation).prompts[:2]

    @pytest.fixture(scope="class")
    @classmethod
    def simulated(cls, profile: Profile) -> PromptSet:
        """The prompts to tune on."""
        return load_prompts(profile.prompts.simulated)

    @pytest.fixture(scope="class")
    @classmethod
    def made(cls, profile: Profile, backbone: Backbone | None) -> Method:
        """The method, set up as a run sets it up."""
        return cls.method(settings_from(cls.method.Settings, cls.settings), backbone, profile)

    @pytest.fixture(scope="class")
    @classmethod
    def bystander(cls, profile: Profile, backbone: Backbone | None) -> Method | None:
        """Another method on the same backbone; None where there is none to watch."""
        if backbone is None or cls.method.role == "floor":
            return None
        base = METHODS.get("base")
        return base(base.Settings(), backbone, profile)

    @pytest.fixture(scope="class")
    @classmethod
    def before(cls, bystander: Method | None, identity: Identity, evaluation: Sequence[Prompt]) -> Video | None:
        """The bystander's video, made before the method does anything."""
        if bystander is None:
            return None
        (video,) = bystander.generate(identity, None, [request_for(identity, evaluation[0], 0)])
        return video

    @pytest.fixture(scope="class")
    @classmethod
    def steps(cls) -> list[tuple[int, int, dict[str, float]]]:
        """What the tuning of `adapter` reported."""
        return []

    @pytest.fixture(scope="class")
    @classmethod
    def adapter(
        cls,
        made: Method,
        identity: Identity,
        simulated: PromptSet,
        before: Video | None,
        steps: list[tuple[int, int, dict[str, float]]],
    ) -> Adapter | None:
        """The adapter for the person; None for a method that does not tune."""
        if not made.tunes:
            return None
        return made.tune(
            identity, simulated, seed=0, progress=lambda step, total, losses: steps.append((step, total, dict(losses)))
        )

    @pytest.fixture(scope="class")
    @classmethod
    def requests(cls, identity: Identity, evaluation: Sequence[Prompt]) -> list[Request]:
        """Requests for two prompts and, for the first of them, a second seed."""
        return [request_for(identity, prompt, 0) for prompt in evaluation] + [request_for(identity, evaluation[0], 1)]

    @pytest.fixture(scope="class")
    @classmethod
    def videos(cls, made: Method, identity: Identity, adapter: Adapter | None, requests: list[Request]) -> list[Video]:
        """The videos of all requests, made together."""
        return list(made.generate(identity, adapter, requests))

    def test_the_class_says_what_it_is(self) -> None:
        """Name, version and summary are there, and an installed method of that name is this one."""
        cls = self.method
        assert cls.name.replace("_", "").replace("-", "").isalnum(), "a name has letters, digits, _ and - only"
        assert isinstance(cls.version, int)
        assert cls.version >= 1, "versions count from 1"
        assert cls.summary, "the summary is what `pvbench list methods` prints"
        assert "\n" not in cls.summary, "the summary is one line"
        assert isinstance(cls.tunes, bool)
        if cls.name in METHODS.names():
            assert METHODS.get(cls.name) is cls, f"another installed method is named {cls.name!r}"

    def test_settings_have_defaults_and_a_digest(self) -> None:
        """They are part of every key: frozen, complete without arguments, plain values."""
        cls = self.method.Settings
        assert dataclasses.is_dataclass(cls)
        assert cls.__dataclass_params__.frozen, "Settings is a frozen dataclass"  # type: ignore[attr-defined]
        digest(dataclasses.asdict(cls()))

    def test_settings_can_be_written_on_the_command_line(self) -> None:
        """Every default, written as a text, is read as itself."""
        defaults = self.method.Settings()
        for field in dataclasses.fields(defaults):
            value = getattr(defaults, field.name)
            text = "+".join(map(str, value)) if isinstance(value, tuple) else str(value)
            if text:
                read = settings_from(self.method.Settings, {field.name: text})
                assert getattr(read, field.name) == value, f"{field.name}={text}"

    def test_the_profile_is_supported(self, profile: Profile) -> None:
        """A run of `--methods all` takes it."""
        settings = settings_from(self.method.Settings, self.settings)
        rewards = {f"reward.{role}" for role in profile.rewards}
        assert self.method.asks(settings) <= backbone_loader(profile).offers | rewards

    def test_the_data_digest_is_the_same_each_time(self, profile: Profile) -> None:
        """It is part of every key."""
        assert isinstance(self.method.data_digest(profile), str)
        assert self.method.data_digest(profile) == self.method.data_digest(profile)

    def test_tuning_reports_every_step(
        self, adapter: Adapter | None, steps: list[tuple[int, int, dict[str, float]]]
    ) -> None:
        """Steps count up to the total, which does not change; losses are finite numbers."""
        if adapter is None:
            pytest.skip(f"{self.method.name} does not tune")
        counted = [step for step, _, _ in steps]
        assert counted, "progress was never called"
        assert counted == sorted(set(counted)), "steps count up"
        assert len({total for _, total, _ in steps}) == 1, "the total stays the same"
        assert counted[-1] == steps[-1][1], "the last step is the total"
        assert all(np.isfinite(loss) for _, _, losses in steps for loss in losses.values()), "losses are finite"

    def test_tuning_again_gives_the_same_bytes(
        self,
        made: Method,
        identity: Identity,
        simulated: PromptSet,
        adapter: Adapter | None,
        videos: list[Video],
        tmp_path: Path,
    ) -> None:
        """Also after videos were made: nothing of one piece of work stays behind for the next."""
        if adapter is None:
            pytest.skip(f"{self.method.name} does not tune")
        again = made.tune(identity, simulated, seed=0, progress=lambda step, total, losses: None)
        save_adapter(tmp_path / "first.safetensors", adapter)
        save_adapter(tmp_path / "again.safetensors", again)
        assert (tmp_path / "first.safetensors").read_bytes() == (tmp_path / "again.safetensors").read_bytes()

    def test_an_adapter_from_a_file_makes_the_same_video(
        self,
        made: Method,
        identity: Identity,
        adapter: Adapter | None,
        requests: list[Request],
        videos: list[Video],
        tmp_path: Path,
    ) -> None:
        """Everything that was learned is in the file, and all of it is finite."""
        if adapter is None:
            pytest.skip(f"{self.method.name} does not tune")
        assert adapter.tensors or adapter.tokens, "an adapter without tensors and words has learned nothing"
        for name, tensor in (*adapter.tensors.items(), *adapter.tokens.items()):
            assert bool(tensor.isfinite().all()), f"{name} is not finite"
        save_adapter(tmp_path / "adapter.safetensors", adapter)
        loaded = load_adapter(tmp_path / "adapter.safetensors")
        (video,) = made.generate(identity, loaded, requests[:1])
        assert video.digest == videos[0].digest

    def test_every_request_gets_one_video_of_the_profiles_size(
        self, profile: Profile, requests: list[Request], videos: list[Video]
    ) -> None:
        """Frames, sides and rate are the profile's."""
        sampling = profile.sampling
        assert len(videos) == len(requests)
        for video in videos:
            assert video.frames.shape == (sampling.frames, sampling.height, sampling.width, 3)
            assert video.fps == sampling.fps

    def test_different_requests_give_different_videos(self, videos: list[Video]) -> None:
        """Prompt and seed both matter."""
        assert len({video.digest for video in videos}) == len(videos)

    def test_a_video_does_not_depend_on_the_others(
        self, made: Method, identity: Identity, adapter: Adapter | None, requests: list[Request], videos: list[Video]
    ) -> None:
        """One by one, backwards: a run that was killed and goes on ends with the same bytes."""
        for request, expected in reversed(list(zip(requests, videos, strict=True))):
            (video,) = made.generate(identity, adapter, [request])
            assert video.digest == expected.digest, f"prompt {request.prompt.id!r}, seed {request.seed}"

    def test_a_fresh_instance_makes_the_same_video(
        self, profile: Profile, backbone: Backbone | None, identity: Identity, adapter: Adapter | None,
        requests: list[Request], videos: list[Video],
    ) -> None:  # fmt: skip
        """Another worker gets the same bytes."""
        fresh = self.method(settings_from(self.method.Settings, self.settings), backbone, profile)
        (video,) = fresh.generate(identity, adapter, requests[-1:])
        assert video.digest == videos[-1].digest

    def test_the_backbone_is_left_as_it_was(
        self,
        bystander: Method | None,
        before: Video | None,
        identity: Identity,
        videos: list[Video],
        requests: list[Request],
    ) -> None:
        """Another method's video is the same before and after: a worker keeps one backbone for all of them."""
        if bystander is None or before is None:
            pytest.skip("no other method to watch")
        (after,) = bystander.generate(identity, None, requests[:1])
        assert after.digest == before.digest

    def test_videos_come_one_by_one(
        self, made: Method, identity: Identity, adapter: Adapter | None, requests: list[Request], videos: list[Video]
    ) -> None:
        """The first one is there before the second is begun, so that a killed run loses little."""
        iterator: Iterator[Video] = iter(made.generate(identity, adapter, requests))
        first = next(iterator)
        assert first.digest == videos[0].digest
        close = getattr(iterator, "close", None)
        assert close is not None, "generate() is a generator: it yields each video as soon as it is there"
        close()
