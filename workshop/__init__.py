"""What makers of the benchmark need and its users do not: searches for settings. Not installed; run from a checkout."""
