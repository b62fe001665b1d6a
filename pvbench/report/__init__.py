"""The report of a run: Markdown, LaTeX, scores, aggregates, pictures and a gallery, from one `ReportData`."""

from typing import TYPE_CHECKING, Any

from pvbench.report.data import CellKey, ReferenceSet, ReportData, ReportIdentity, ReportPrompt, ReportVariant

if TYPE_CHECKING:
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


def __getattr__(name: str) -> Any:
    """What draws and computes takes a second to import, which reading a report can save."""
    if name == "write_report":
        from pvbench.report.write import write_report

        return write_report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
