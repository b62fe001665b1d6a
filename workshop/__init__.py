"""What makers of the benchmark need and its users do not. Not installed; run from a checkout.

Training data and trainings of the mini weights, their quality, searches for settings, and how far each metric moves
when a video is spoilt.
"""
