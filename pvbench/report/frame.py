"""The scores of a report as a table of pandas."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas


def scores(folder: Path | str) -> pandas.DataFrame:
    """The lines of a report's `scores.csv`, or of a kept one's `scores.csv.gz`: one for each video and number.

    The value is NaN for a failed cell and where a number is undefined. The table's `to_parquet` writes Parquet, with
    the extra `parquet`.

    Args:
        folder: of a run or a measuring, or of a report itself.

    Raises:
        ReportError: there is no report.
    """
    import pandas

    from pvbench.report.written import PACKED, find_report, scores_file

    path = scores_file(find_report(folder, ("scores.csv", PACKED)))
    texts = dict.fromkeys(("method", "identity", "prompt", "metric", "video", "text"), "string")
    return pandas.read_csv(
        path,
        dtype={**texts, "seed": "int64", "value": "float64"},
        keep_default_na=False,
        na_values={"value": ["", "nan"]},
    )
