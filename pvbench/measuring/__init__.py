"""Scoring videos that were made elsewhere: found, looked over, measured and reported as a run's own."""
