"""Differentiable scores of generated frames."""
