"""The command line. Everything heavy is imported by the command that needs it: `--help` answers at once."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.markup import escape

from pvbench import __version__
from pvbench.cli.ablate import ablate
from pvbench.cli.measure import measure
from pvbench.cli.options import console, error_console
from pvbench.cli.run import report, run
from pvbench.cli.show import doctor, list_
from pvbench.errors import PvbenchError

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


for command in (run, report, ablate, doctor, measure):
    app.command()(command)
app.command("list")(list_)


def main(commands: typer.Typer = app) -> None:
    """Runs a command line; a user's mistake ends in one message and exit status 2."""
    try:
        commands()
    except PvbenchError as error:
        error_console.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(error.exit_status)
