"""What a person sees of a run."""

import io

import pytest
from rich.console import Console

from pvbench.runner.observer import Tally
from pvbench.runner.plan import make_plan
from pvbench.runner.progress import RichObserver, failure_table, in_words, plan_table
from pvbench.runner.survey import take_survey
from pvbench.store import Failure, Store


@pytest.fixture
def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)


@pytest.fixture
def pipe():
    return Console(file=io.StringIO(), width=100)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (450, "7 min 30 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_times_are_said_as_a_person_says_them(seconds, words):
    assert in_words(seconds) == words


def test_the_plan_shows_every_method_with_what_is_done(run, choice, pipe):
    run()
    plan = make_plan(choice(prompts="all"))
    pipe.print(plan_table(plan, take_survey(plan, Store(run().store.folder))))
    rows = [line.split() for line in pipe.file.getvalue().splitlines() if "example_" in line]
    assert rows == [["example_drift", "-", "6/8", "6/8"], ["example_stamp", "2/2", "6/8", "6/8"]]


def test_an_adapter_that_rows_share_is_shown_once(choice, tmp_path, pipe):
    plan = make_plan(choice(methods="example_stamp[lift=1],example_stamp"))
    pipe.print(plan_table(plan, take_survey(plan, Store(tmp_path / "nothing"))))
    rows = [line.split()[1] for line in pipe.file.getvalue().splitlines() if "example_" in line]
    assert rows == ["0/2", "shared"]


def observe(console, choice, tmp_path):
    plan = make_plan(choice())
    survey = take_survey(plan, Store(tmp_path / "nothing"))
    tallies = {"tune": Tally(2), "generate": Tally(12), "measure": Tally(12)}
    observer = RichObserver(console)
    observer.planned(plan, survey, tallies, 2, 450)
    tallies["tune"].under_way = 0.5
    observer.advanced(tallies, 440, "example_stamp ann")
    observer.failed(Failure("k", "tune", "example_stamp", "ann", "", None, "E", "no [red] luck\nat all", ""))
    observer.noted("something [odd]")
    tallies["generate"].done, tallies["generate"].failed, tallies["tune"].done = 11, 1, 2
    observer.advanced(tallies, 3, "example_drift bob")
    observer.ended()
    return console.file.getvalue()


def test_a_terminal_shows_bars_and_the_time_left(terminal, choice, tmp_path):
    shown = observe(terminal, choice, tmp_path)
    assert "2 methods x 2 identities x 3 prompts x 1 seed = 12 videos" in shown
    assert "2 workers, about 7 min 30 s to go." in shown
    assert "11/12" in shown
    assert "1 failed" in shown
    assert "failed example_stamp, ann: no [red] luck" in shown
    assert "note something [odd]" in shown
    assert "at all" not in shown


def test_a_pipe_gets_lines_and_no_bars(pipe, choice, tmp_path):
    shown = observe(pipe, choice, tmp_path)
    assert "tune 0/2, generate 0/12, measure 0/12; about 7 min 20 s left" in shown
    assert "tune 2/2, generate 11/12, measure 0/12, 1 failed; about 3 s left" in shown
    assert "\x1b" not in shown


def test_a_pipe_gets_a_line_every_half_minute_while_nothing_is_done(pipe, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr("pvbench.runner.progress.time.monotonic", lambda: clock[0])
    observer = RichObserver(pipe)
    tallies = {"tune": Tally(2), "generate": Tally(12), "measure": Tally(12)}
    for second in range(0, 100, 5):
        clock[0] = 1000.0 + second
        observer.advanced(tallies, 300 - second, f"example_stamp ann step {second}")
    lines = pipe.file.getvalue().splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == ["0", "30", "60", "90"]
    assert "about 4 min 30 s left; example_stamp ann step 30" in lines[1]


def test_long_lists_of_failures_are_cut_with_their_count(pipe):
    pipe.print(failure_table([(f"cell {index}", "tune", "no luck\nat all") for index in range(25)]))
    shown = pipe.file.getvalue()
    assert "25 failed" in shown
    assert "cell 19" in shown
    assert "cell 20" not in shown
    assert "and 5 more" in shown
