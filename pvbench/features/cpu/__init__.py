"""The same numbers as the networks of published checkpoints, computed faster on processors."""
