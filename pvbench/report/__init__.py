"""The report of a run: Markdown, LaTeX, scores, aggregates and pictures, from one `ReportData`."""

from pvbench.report.data import CellKey, ReferenceSet, ReportData, ReportIdentity, ReportPrompt, ReportVariant
from pvbench.report.write import write_report

__all__ = [
    "CellKey",
    "ReferenceSet",
    "ReportData",
    "ReportIdentity",
    "ReportPrompt",
    "ReportVariant",
    "write_report",
]
