"""The evaluators of the miniature world; importing this package loads no network."""
