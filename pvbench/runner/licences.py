"""What the publishers of everything that a run uses allow."""

from __future__ import annotations

from collections.abc import Mapping

from pvbench.backbone import backbone_loader
from pvbench.evaluator import evaluator_loaders
from pvbench.runner.plan import Plan


def licences_of(plan: Plan) -> Mapping[str, str]:
    """By part: the backbone, where a row samples it, the evaluators, and rows that bring something of their own.

    Parts whose weights pvbench itself publishes have no line.
    """
    found: dict[str, str] = {}
    if any(variant.cls.uses_backbone for variant in plan.variants):
        found["backbone"] = backbone_loader(plan.profile).licence(plan.profile)
    for part, loader in evaluator_loaders(plan.profile).items():
        if part in plan.features.parts:
            found[part] = loader.licence(plan.profile)
    for variant in plan.variants:
        found[variant.label] = variant.cls.licence(variant.settings)
    return {part: terms for part, terms in found.items() if terms}
