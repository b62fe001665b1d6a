"""Contract suites that a plug-in's author subclasses in tests of their own; they need pytest."""

from pvbench.testing.backbone_contract import BackboneContract
from pvbench.testing.method_contract import MethodContract

__all__ = ["BackboneContract", "MethodContract"]
