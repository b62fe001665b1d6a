"""The command line. Everything heavy is imported by the command that needs it: `--help` answers at once."""

from __future__ import annotations

import io
import shlex
import sys
import tempfile
import traceback
from typing import Annotated

import typer
from rich.markup import escape

from pvbench import __version__
from pvbench.cli.ablate import ablate
from pvbench.cli.compare import compare
from pvbench.cli.likeness import likeness
from pvbench.cli.measure import measure
from pvbench.cli.options import console, error_console
from pvbench.cli.plan import plan
from pvbench.cli.run import report, run
from pvbench.cli.show import doctor, list_
from pvbench.errors import PvbenchError, readable

app = typer.Typer(
    help="Does a text-to-video method keep the person's face without freezing the video or ignoring the prompt?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    """Options before a command."""
    if version:
        console.print(f"pvbench {__version__}")
        raise typer.Exit


for command in (run, plan, report, compare, ablate, doctor, measure, likeness):
    app.command()(command)
app.command("list")(list_)


INTERNAL = 3
"""The exit status of a command that a mistake in pvbench itself has ended."""


def main(commands: typer.Typer = app) -> None:
    """Runs a command line.

    A user's mistake ends in one message and exit status 2, one of pvbench's own in a message that names the file with
    its traceback, and exit status 3.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # File names may hold what a terminal cannot show.
            stream.reconfigure(errors="replace")
    try:
        commands()
    except PvbenchError as error:
        error_console.print(f"[bold red]error:[/] {escape(readable(str(error)))}", soft_wrap=True)
        sys.exit(error.exit_status)
    except Exception as error:  # noqa: BLE001 - whatever was not foreseen
        error_console.print(f"[bold red]internal error:[/] {escape(_report_of(error))}", soft_wrap=True)
        sys.exit(INTERNAL)


def _report_of(error: Exception) -> str:
    """What to do about a mistake of pvbench's own; its traceback is written to a file."""
    what = "".join(traceback.format_exception_only(error)).strip()
    with tempfile.NamedTemporaryFile("w", prefix="pvbench-", suffix=".txt", delete=False, errors="replace") as file:
        file.write(f"pvbench {__version__}\n{shlex.join(sys.argv)}\n\n{''.join(traceback.format_exception(error))}")
    return (
        f"{what}; this is a mistake in pvbench, not in your files: please report it in the project's issues, with "
        f"{file.name}"
    )
