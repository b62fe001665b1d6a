"""The evaluators that papers report; importing this package loads no network."""
