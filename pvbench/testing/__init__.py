"""Contract suites that a plug-in's author subclasses in tests of their own; they need pytest."""

from pvbench.testing.method_contract import MethodContract

__all__ = ["MethodContract"]
