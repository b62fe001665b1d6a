"""Ablations: studies of what a method's parts are worth, with verdicts beside what was published."""
