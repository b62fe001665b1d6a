"""Shows a person how measuring goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pvbench.errors import counted, readable
from pvbench.measuring.precheck import Precheck

_SHOWN = 3
"""So many prompts are shown."""


class MeasureObserver:
    """A bar with the time left, or without a terminal a line for each tenth. Leaving its context ends the bar."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("measure"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=None)
        self._tenth = 0

    def __enter__(self) -> MeasureObserver:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def looked(self, found: Precheck) -> None:
        """What the look at the videos found."""
        shapes = sorted({f"{facts.width}x{facts.height}" for facts in found.usable.values()})
        methods = list(dict.fromkeys(video.method for video in found.usable))
        of = (
            f" of {counted(len(methods), 'method')} ({', '.join(methods)}), {', '.join(shapes)} pixels"
            if methods
            else " that can be measured"
        )
        # A method's name may hold settings in brackets, which look like markup.
        of = escape(of)
        self._console.print(f"{counted(len(found.usable), 'video')}{of}; {counted(len(found.problems), 'problem')}")
        self._asked(found)
        for note in found.notes:
            self._console.print(f"[yellow]note[/] {escape(note)}")

    def _asked(self, found: Precheck) -> None:
        """Which texts the videos are taken to be asked for."""
        if asked := asked_in_words(video.text for video in found.usable):
            self._console.print(escape(asked))

    def advanced(self, done: int, total: int, doing: str) -> None:
        """So many videos are measured."""
        self._progress.update(self._task, completed=done, total=total, description=readable(doing))
        tenth = 10 * done // max(total, 1)
        if not self._console.is_terminal and tenth > self._tenth:
            self._tenth = tenth
            left = self._progress.tasks[self._task].time_remaining
            in_time = f"; about {left / 60:.1f} min left" if left else ""
            self._console.print(f"measured {done} of {total}{in_time}")


def asked_in_words(texts: Iterable[str]) -> str:
    """A line on the texts that videos are taken to be asked for, those of most videos first; empty without any."""
    counts = Counter(text for text in texts if text)
    some = ", ".join(f"“{text}” ({count})" for text, count in counts.most_common(_SHOWN))
    more = f" and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else ""
    return f"asked for: {some}{more}" if counts else ""
