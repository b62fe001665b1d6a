"""Trainings of the mini weights, one module a model."""

from pvbench.torchvision_shim import load_torchvision

load_torchvision()
