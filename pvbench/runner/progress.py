"""What a person sees of a run: the plan as a table, one bar a stage, the time left, and what failed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from pvbench.runner.observer import Tally
from pvbench.runner.plan import Cell, Plan
from pvbench.runner.planned import PlannedVariant
from pvbench.runner.selection import notes_on
from pvbench.runner.survey import STAGES, Survey
from pvbench.store import Failure

_SHOWN_FAILURES = 20
_QUIET_SECONDS = 30


class RichObserver:
    """Bars on a terminal; elsewhere a line for every tenth of the work, and every half minute between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._footer = Text()
        self._started = time.monotonic()
        self._tenth = -1
        self._printed = self._started

    def planned(self, plan: Plan, survey: Survey, tallies: Mapping[str, Tally], workers: int, seconds: float) -> None:
        """The plan, then the bars."""
        self._console.print(plan_table(plan, survey))
        for note in notes_on(plan.identities):
            self._console.print(note, style="yellow", markup=False)
        grid = [
            (len(plan.variants), "method"),
            (len(plan.identities), "identity"),
            (len(plan.prompts), "prompt"),
            (len(plan.seeds), "seed"),
        ]
        self._console.print(f"{' x '.join(_counted(*part) for part in grid)} = {_counted(len(plan.cells), 'video')}")
        if survey.nothing_to_do:
            self._console.print("[green]Everything is there already.[/]")
            return
        self._console.print(f"{workers} worker{'s' if workers > 1 else ''}, about [bold]{in_words(seconds)}[/] to go.")
        self._started = time.monotonic()
        if self._console.is_terminal:
            self._start_bars(tallies)

    def advanced(self, tallies: Mapping[str, Tally], seconds_left: float, doing: str) -> None:
        """The bars move."""
        if self._bars is None:
            self._print_line(tallies, seconds_left, doing)
            return
        for stage, task in self._tasks.items():
            tally = tallies[stage]
            failed = f"[red]{tally.failed} failed[/]" if tally.failed else ""
            self._bars.update(
                task,
                completed=tally.done + tally.failed + tally.under_way,
                total=tally.total,
                done=f"{tally.done}/{tally.total}",
                failed=failed,
            )
        elapsed = in_words(time.monotonic() - self._started)
        self._footer.plain = f"{elapsed} gone, about {in_words(seconds_left)} left   {doing}"

    def failed(self, failure: Failure) -> None:
        """One line above the bars."""
        self._console.print(
            f"[red]failed[/] {escape(failure.where)}: {escape(first_line(failure.message))}", soft_wrap=True
        )

    def noted(self, text: str) -> None:
        """One line above the bars."""
        self._console.print(f"[yellow]note[/] {escape(text)}", soft_wrap=True)

    def ended(self) -> None:
        """The bars stay as they are, the terminal is free again."""
        if self._live is not None:
            self._footer.plain = f"{in_words(time.monotonic() - self._started)} in all"
            self._live.stop()
            self._live = None

    def _start_bars(self, tallies: Mapping[str, Tally]) -> None:
        self._bars = Progress(
            TextColumn("[bold]{task.description:<9}"),
            BarColumn(bar_width=40),
            TextColumn("{task.fields[done]:>9}"),
            TextColumn("{task.fields[failed]}"),
            console=self._console,
        )
        for stage in STAGES:
            tally = tallies[stage]
            if tally.total:
                self._tasks[stage] = self._bars.add_task(
                    stage, total=tally.total, completed=tally.done, done=f"{tally.done}/{tally.total}", failed=""
                )
        self._footer = Text(style="dim")
        self._live = Live(Group(self._bars, self._footer), console=self._console, refresh_per_second=4)
        self._live.start()

    def _print_line(self, tallies: Mapping[str, Tally], seconds_left: float, doing: str) -> None:
        total = sum(tally.total for tally in tallies.values())
        done = sum(tally.done + tally.failed for tally in tallies.values())
        tenth = 10 * done // max(total, 1)
        if tenth <= self._tenth and time.monotonic() - self._printed < _QUIET_SECONDS:
            return
        self._tenth, self._printed = max(tenth, self._tenth), time.monotonic()
        stages = ", ".join(
            f"{stage} {tallies[stage].done}/{tallies[stage].total}" for stage in STAGES if tallies[stage].total
        )
        failed = sum(tally.failed for tally in tallies.values())
        failed_too = f", {failed} failed" if failed else ""
        doing_too = f"; {doing}" if doing else ""
        self._console.print(f"{stages}{failed_too}; about {in_words(seconds_left)} left{doing_too}", soft_wrap=True)


def plan_table(plan: Plan, survey: Survey) -> Table:
    """The grid: what each method has to do, and what is done already."""
    table = Table(
        box=box.SIMPLE_HEAD,
        title_justify="left",
        title=f"[bold]pvbench[/] profile [cyan]{escape(plan.profile.name)}[/]",
    )
    table.add_column("method")
    for heading in ("tunings", "videos", "measured"):
        table.add_column(heading, justify="right")
    for variant in plan.variants:
        own = [cell for cell in plan.cells if cell.variant == variant.label]
        table.add_row(
            escape(variant.label),
            _tunings(plan, survey, variant),
            _share(_among(own, survey.made), len(own)),
            _share(_among(own, survey.measured), len(own)),
        )
    return table


def _tunings(plan: Plan, survey: Survey, variant: PlannedVariant) -> str:
    """How many of a row's adapters are there; those that rows share are counted in the first of them."""
    if not variant.cls.tunes:
        return "[dim]-[/]"
    tuned, people = variant.tuned.label, len(plan.identities)
    if plan.tuning_rows[tuned] != variant.label:
        return "[dim]shared[/]"
    return _share(people - sum(what == tuned for what, _ in survey.tunings), people)


def failure_table(failures: Sequence[tuple[str, str, str]]) -> Table:
    """Rows of (where, stage, message) as a table; long lists are cut, with their count."""
    table = Table(
        box=box.SIMPLE_HEAD, title=f"[bold red]{len(failures)} failed[/]", title_justify="left", caption_justify="left"
    )
    for heading in ("where", "stage", "why"):
        table.add_column(heading, overflow="fold")
    for where, stage, message in failures[:_SHOWN_FAILURES]:
        table.add_row(escape(where), stage, escape(first_line(message)))
    if len(failures) > _SHOWN_FAILURES:
        table.caption = f"and {len(failures) - _SHOWN_FAILURES} more"
    return table


def in_words(seconds: float) -> str:
    """A time as a person says it: 45 s, 7 min 30 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def first_line(text: str) -> str:
    """The first line of a message."""
    return text.strip().partition("\n")[0]


def _among(cells: Sequence[Cell], there: Mapping[Cell, object]) -> int:
    return sum(cell in there for cell in cells)


def _share(done: int, total: int) -> str:
    colour = "green" if done == total else "yellow" if done else "dim"
    return f"[{colour}]{done}/{total}[/]"


def _counted(count: int, word: str) -> str:
    plural = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    return f"{count} {word if count == 1 else plural}"
