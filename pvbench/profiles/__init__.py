"""Profiles: which backbone, how it samples, what scores it and how large the default grid is."""
