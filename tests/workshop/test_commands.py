"""The workshop's commands refuse what they cannot do, before they begin."""

import sys

import pytest

from pvbench import cli
from workshop.commands import app


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Runs a command of the workshop in a folder of its own: (exit status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["workshop", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main(app)
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return run


@pytest.mark.parametrize(("out", "message"), [("a.gif2", "expected a name that ends in"), ("no/a.png", "no folder")])
def test_nothing_is_rendered_that_it_cannot_write(command, out, message):
    status, _, err = command("render", "--prompt", "ev01-sway-desert-yellow-jacket", "--out", out)
    assert status == 2
    assert message in " ".join(err.split())


def test_a_training_ends_after_steps_or_seconds_but_not_both(command):
    status, _, err = command("train", "motion", "--steps", "10", "--seconds", "60")
    assert status == 2
    assert "--steps 10 and --seconds 60 both say when to end; leave one of them out" in " ".join(err.split())
