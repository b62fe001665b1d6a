"""What `measure` says while it works where nobody watches a bar: in a log."""

import io

from rich.console import Console

from pvbench.measuring.progress import MeasureObserver


def told(terminal: bool) -> str:
    text = io.StringIO()
    with MeasureObserver(Console(file=text, force_terminal=terminal, width=100)) as observer:
        for done in range(41):
            observer.advanced(done, 40, f"video {done}")
    return text.getvalue()


def test_a_log_has_a_line_for_each_tenth():
    lines = [line for line in told(False).splitlines() if line.startswith("measured")]
    assert [line.split(";")[0] for line in lines] == [f"measured {4 * tenth} of 40" for tenth in range(1, 11)]


def test_a_terminal_has_the_bar_alone():
    assert "measured" not in told(True)
