"""Published tables, as data."""
