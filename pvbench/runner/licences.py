"""What the publishers of everything that a run uses allow."""

from __future__ import annotations

from collections.abc import Mapping

from pvbench.backbone import backbone_loader
from pvbench.evaluator import evaluator_loaders
from pvbench.reward import reward_loader
from pvbench.runner.plan import Plan
from pvbench.weights.published import PUBLISHED


def licences_of(plan: Plan) -> Mapping[str, str]:
    """By part: the backbone, where a row samples it, rewards, evaluators, and rows that bring something of their own.

    Parts whose weights pvbench itself publishes have no line.
    """
    found: dict[str, str] = {}
    if any(variant.cls.uses_backbone for variant in plan.variants):
        found["backbone"] = backbone_loader(plan.profile).licence(plan.profile)
    for part, loader in evaluator_loaders(plan.profile).items():
        if part in plan.features.parts:
            found[part] = loader.licence(plan.profile)
    for role in dict.fromkeys(role for variant in plan.variants for role in variant.rewards):
        named = (plan.profile.rewards.get(line) for line in reward_loader(plan.profile, role).weights)
        terms = [PUBLISHED[name].licence for name in named if isinstance(name, str) and name in PUBLISHED]
        found[f"{role} reward"] = "; ".join(dict.fromkeys(terms))
    for variant in plan.variants:
        found[variant.label] = variant.cls.licence(variant.settings)
    return {part: terms for part, terms in found.items() if terms}
