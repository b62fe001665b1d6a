"""The plan of a run: which cells, and the key of everything that will be made for them. Nothing heavy is loaded."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pvbench.backbone import backbone_loader, with_checkpoint
from pvbench.digest import digest
from pvbench.errors import PromptError, StoreError
from pvbench.evaluator import FeaturePlan
from pvbench.identity import SPLITS, Identity, split_root
from pvbench.method import Request, request_for
from pvbench.metrics import check_features, choose, load_metrics, metric_class
from pvbench.profile import Profile, load_profile
from pvbench.prompt import Prompt, PromptSet, check_disjoint, load_prompts
from pvbench.reward import check_apart
from pvbench.runner.missing import Missing
from pvbench.runner.planned import PlannedVariant, plan_variants
from pvbench.runner.refined import read_refined
from pvbench.runner.selection import scored_prompts, select_identities, select_prompts, select_seeds, with_class_nouns
from pvbench.runner.weights import with_own_weights
from pvbench.variant import split_variants

_INPUTS = ("methods", "identities", "prompts", "seeds", "sampling", "backbone", "evaluators")


@dataclass(frozen=True)
class Cell:
    """One video to be: its variant's label, its identity's name, its prompt's id and its seed."""

    variant: str
    identity: str
    prompt: str
    seed: int


@dataclass(frozen=True)
class Choice:
    """What was asked for, as on the command line; None is the profile's default."""

    profile: str = "mini"
    methods: str | None = None
    identities: str | None = None
    prompts: str | None = None
    seeds: str | None = None
    split: str = "benchmark"
    metrics: str | None = None
    weights: tuple[str, ...] = ()
    """Each `NAME=PATH`, in the place of what the profile names."""
    refined: str | None = None
    """A file of longer texts, see `read_refined`; None asks with the prompts' own."""
    class_noun: str | None = None
    """What people without a card are called, see `with_class_nouns`; None is `person`."""

    @property
    def command(self) -> str:
        """The command that makes this run again."""
        options = [
            f"--{name.replace('_', '-')} {shlex.quote(value)}"
            for name, value in dataclasses.asdict(self).items()
            if isinstance(value, str) and (name, value) != ("split", SPLITS[0])
        ]
        options += [f"--weights {shlex.quote(text)}" for text in self.weights]
        return " ".join(["pvbench run", *options])


@dataclass(frozen=True)
class Plan:
    """Everything that is known before anything is made."""

    choice: Choice
    profile: Profile
    variants: tuple[PlannedVariant, ...]
    identities: tuple[Identity, ...]
    prompts: tuple[Prompt, ...]
    evaluation: PromptSet
    simulated: PromptSet
    seeds: tuple[int, ...]
    backbone_signature: Mapping[str, Any]
    features: FeaturePlan
    metrics: tuple[str, ...] | None = None
    """Names of the metrics that were asked for; None for those of the paper."""
    refined: Mapping[str, Prompt] = field(default_factory=dict)
    """By id, what methods are asked with in the place of a prompt; scores compare with the prompt all the same."""

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every cell of the grid, by variant, identity, prompt, seed."""
        return tuple(
            Cell(variant.label, identity.name, prompt.id, seed)
            for variant in self.variants
            for identity in self.identities
            for prompt in self.prompts
            for seed in self.seeds
        )

    @cached_property
    def tuning_rows(self) -> Mapping[str, str]:
        """By the label of what is tuned, the first row that is sampled with it; each is tuned once for a person."""
        rows: dict[str, str] = {}
        for variant in self.variants:
            if variant.cls.tunes:
                rows.setdefault(variant.tuned.label, variant.label)
        return rows

    @property
    def default_folder(self) -> str:
        """The name of the run's folder where none is given."""
        name = self.profile.name
        return name if self.choice.split == SPLITS[0] else f"{name}-{self.choice.split}"

    def adapter_key(self, variant: PlannedVariant, identity: Identity) -> str:
        """Digest of everything that makes the adapter of one variant and identity."""
        return self._adapter_keys[variant.label, identity.name]

    def video_key(self, cell: Cell) -> str:
        """Digest of everything that makes the video of one cell."""
        return self._video_keys[cell]

    def request(self, cell: Cell) -> Request:
        """What the method is asked for one cell; a prompt in a style ends in its words, and the noise is the same."""
        variant, identity = self.variant(cell.variant), self.identity(cell.identity)
        return self._request(variant, identity, self.prompt(cell.prompt), cell.seed)

    def variant(self, label: str) -> PlannedVariant:
        """The variant of that label."""
        return self._variants[label]

    def identity(self, name: str) -> Identity:
        """The identity of that name."""
        return self._identities[name]

    def prompt(self, prompt_id: str) -> Prompt:
        """The prompt of that id."""
        return self._prompts[prompt_id]

    def text(self, cell: Cell) -> str:
        """What the video of a cell should show, in words; text metrics compare with it.

        Neither a style's words nor a refined text are part of it.
        """
        return self.prompt(cell.prompt).render(self.identity(cell.identity).class_noun)

    def summary(self) -> dict[str, Any]:
        """What plan.json holds: the choice, and what came of it."""
        return {
            "choice": dataclasses.asdict(self.choice),
            "profile": {"name": self.profile.name, "digest": self.profile.digest},
            "methods": {variant.label: variant.identifying for variant in self.variants},
            "identities": {
                identity.name: digest([identity.digest, identity.scoring_digest]) for identity in self.identities
            },
            "prompts": {prompt.id: prompt.text for prompt in self.prompts},
            **({"refined": {name: prompt.text for name, prompt in self.refined.items()}} if self.refined else {}),
            "simulated_prompts": {"name": self.simulated.name, "digest": self.simulated.digest},
            "seeds": list(self.seeds),
            "sampling": dataclasses.asdict(self.profile.sampling),
            "backbone": self.backbone_signature,
            "evaluators": self.features.signature,
        }

    @cached_property
    def _variants(self) -> dict[str, PlannedVariant]:
        return {variant.label: variant for variant in self.variants}

    @cached_property
    def _identities(self) -> dict[str, Identity]:
        return {identity.name: identity for identity in self.identities}

    @cached_property
    def _prompts(self) -> dict[str, Prompt]:
        return {prompt.id: prompt for prompt in self.prompts}

    @cached_property
    def _adapter_keys(self) -> dict[tuple[str, str], str]:
        shared = {"sampling": self.profile.sampling, "prompts": self.simulated.digest, "seed": self.profile.tune_seed}
        keys = {}
        for variant in self.variants:
            for identity in self.identities:
                keys[variant.label, identity.name] = digest({**shared, **self._identifying(variant.tuned, identity)})
        return keys

    @cached_property
    def _video_keys(self) -> dict[Cell, str]:
        keys = {}
        for variant in self.variants:
            for identity in self.identities:
                shared = digest(
                    {
                        **self._identifying(variant, identity),
                        "sampling": self.profile.sampling,
                        "adapter": self.adapter_key(variant, identity) if variant.cls.tunes else None,
                    }
                )
                for prompt in self.prompts:
                    for seed in self.seeds:
                        request = self._request(variant, identity, prompt, seed)
                        keys[Cell(variant.label, identity.name, prompt.id, seed)] = digest([shared, request])
        return keys

    def _request(self, variant: PlannedVariant, identity: Identity, prompt: Prompt, seed: int) -> Request:
        asked = self.refined.get(prompt.id, prompt)
        return request_for(identity, variant.style.prompt(asked) if variant.style else asked, seed)

    def _identifying(self, variant: PlannedVariant, identity: Identity) -> dict[str, Any]:
        backbone = self._backbone_of(variant) if variant.cls.uses_backbone else None
        files = variant.cls.files_digest(variant.settings, identity)
        more = {"files": files} if files else {}
        return {**variant.identifying, **more, "backbone": backbone, "identity": identity.digest}

    def _backbone_of(self, variant: PlannedVariant) -> Mapping[str, Any]:
        """The signature of what samples a row: of the profile's backbone, or of a style's own checkpoint."""
        swapped = with_checkpoint(self.profile, variant.style)
        return self.backbone_signature if swapped is self.profile else backbone_loader(swapped).signature(swapped)


def make_plan(choice: Choice, missing: Missing | None = None) -> Plan:
    """The plan for what was asked for, with every input checked.

    Args:
        missing: notes weights that are missing; without it they are an error that names all of them. No run can be
            made of such a plan.

    Raises:
        PvbenchError: for every input that cannot be used: profile, method, setting, identity, prompt, weights.
    """
    if missing is None:
        noted = Missing(tolerated=True)
        plan = make_plan(choice, noted)
        noted.refuse()
        return plan
    profile = with_own_weights(load_profile(choice.profile), choice.weights)
    metrics = choose(choice.metrics, profile.metrics_default)
    load_metrics(profile.evaluators.get("metrics", {}), metrics)
    features = feature_plan(profile, metrics, missing)
    people = split_root(choice.split)
    evaluation = load_prompts(scored_prompts(profile, choice.split))
    simulated = load_prompts(profile.prompts.simulated)
    variants = plan_variants(_method_texts(choice, profile), profile, missing)
    identities = select_identities(
        str(profile.grid.identities) if choice.identities is None else choice.identities, people
    )
    identities = tuple(one.with_photos_apart() for one in with_class_nouns(identities, choice.class_noun))
    prompts = select_prompts(str(profile.grid.prompts) if choice.prompts is None else choice.prompts, evaluation)
    refined = read_refined(Path(choice.refined), evaluation, prompts) if choice.refined is not None else {}
    asked = dataclasses.replace(evaluation, prompts=(*evaluation.prompts, *refined.values()))
    check_disjoint(asked, simulated, "evaluation" if choice.split == SPLITS[0] else choice.split)
    for variant in variants:
        for texts in (simulated, asked):
            with missing.noted():
                variant.cls.check(variant.settings, profile, identities, texts)
        for role in variant.rewards:
            with missing.noted():
                check_apart(profile, role, features.signature)
    plan = Plan(
        choice=choice,
        profile=profile,
        variants=variants,
        identities=identities,
        prompts=prompts,
        evaluation=evaluation,
        simulated=simulated,
        seeds=profile.grid.seeds if choice.seeds is None else select_seeds(choice.seeds),
        backbone_signature=missing.signature(functools.partial(backbone_loader(profile).signature, profile)),
        features=features,
        metrics=metrics,
        refined=refined,
    )
    if refined:
        with missing.noted():
            _check_room(plan)
    return plan


def _check_room(plan: Plan) -> None:
    """Refuses texts of which the backbone's text encoder would not read the end, where that can be said.

    Raises:
        PromptError: naming the prompt and the text encoder.
    """
    reader = backbone_loader(plan.profile).text_reader(plan.profile)
    rows = [variant for variant in plan.variants if variant.cls.uses_backbone]
    if reader is None or not rows:
        return
    for prompt, variant, identity in itertools.product(plan.prompts, rows, plan.identities):
        text = plan.request(Cell(variant.label, identity.name, prompt.id, 0)).prompt.render(identity.class_noun)
        count = reader.count(text)
        if count > reader.most:
            raise PromptError(
                f"{plan.choice.refined}: the text of {prompt.id!r} has {count} tokens for {variant.label} of "
                f"{identity.name}, and {reader.name} reads {reader.most}; shorten it"
            )


def feature_plan(profile: Profile, metrics: Collection[str] | None, missing: Missing) -> FeaturePlan:
    """The features that are made for metrics: what those of the paper need always, what others need in addition.

    Raises:
        ProfileError: the profile's evaluators cannot be used.
        MetricError: a metric needs what no evaluator makes.
    """
    features = FeaturePlan(profile, sign=missing.signature)
    check_features(metrics or (), features.features)
    default = frozenset(name for group in features.groups for name in group.features)
    needed = frozenset(need for name in metrics or () for need in metric_class(name).needs)
    return features if needed <= default else FeaturePlan(profile, default | needed, missing.signature)


def plan_from_summary(summary: Mapping[str, Any], path: Path) -> Plan:
    """The plan that a plan.json tells of, made again from its choice.

    Raises:
        StoreError: for a summary that is none, or one whose inputs have changed since.
    """
    try:
        choice = Choice(**{**summary["choice"], "weights": tuple(summary["choice"].get("weights", ()))})
        keyed = {name: summary[name] for name in _INPUTS}
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"{path} is not a plan of this version of pvbench ({error}); run `pvbench run` again"
        ) from error
    plan = make_plan(choice)
    now = json.loads(json.dumps(plan.summary()))
    changed = [name for name in _INPUTS if now[name] != keyed[name]]
    changed += ["refined prompts"] if now.get("refined") != summary.get("refined") else []
    if changed:
        raise StoreError(
            f"{path}: {' and '.join(changed)} changed since that run; `{choice.command}` makes what is "
            f"missing and reports it"
        )
    return plan


def _method_texts(choice: Choice, profile: Profile) -> Sequence[str]:
    return profile.methods_default if choice.methods is None else split_variants(choice.methods)
