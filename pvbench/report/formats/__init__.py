"""The report as Markdown, LaTeX, CSV and JSON."""
