"""Contract suites that a plug-in's author subclasses in tests of their own; they need pytest."""

from pvbench.testing.backbone_contract import BackboneContract
from pvbench.testing.evaluator_contract import EvaluatorContract
from pvbench.testing.features import example_features
from pvbench.testing.method_contract import MethodContract
from pvbench.testing.metric_contract import MetricContract, SetMetricContract

__all__ = [
    "BackboneContract",
    "EvaluatorContract",
    "MethodContract",
    "MetricContract",
    "SetMetricContract",
    "example_features",
]
