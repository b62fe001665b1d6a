"""A command in an environment of its own, by a stub: what it is given, what it may do wrong, and how it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from example_inputs import EXAMPLE_PROFILE, contents, make_identity

from pvbench.errors import GenerationError, SettingError
from pvbench.identity import load_identities
from pvbench.machine.process import run_program
from pvbench.method import METHODS, request_for, settings_from
from pvbench.methods.command import PLACEHOLDERS, Command, filled, read_description
from pvbench.profile import load_profile
from pvbench.prompt import Prompt
from pvbench.testing import MethodContract

STUB = Path(EXAMPLE_PROFILE).parent / "stub_command.py"
ARGUMENTS = ["--photos", "{photos}", "--prompt", "{prompt}", "--seed", "{seed}", "--frames", "{frames}",
             "--width", "{width}", "--height", "{height}", "--fps", "{fps}", "--out", "{out}"]  # fmt: skip


def described(folder, wish="", **changed):
    """A description of the stub."""
    lines = {"commit": "abc123", "command": [sys.executable, str(STUB), *ARGUMENTS], "suffix": ".mkv", **changed}
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items() if value is not None)
    path = folder / "stub.toml"
    path.write_text(f"{text}[environment]\nSTUB = {json.dumps(wish)}\n")
    return path


@pytest.fixture(scope="module")
def ann(tmp_path_factory):
    return load_identities([str(make_identity(tmp_path_factory.mktemp("people"), "ann"))])[0]


class TestCommand(MethodContract):
    method = Command
    profile_name = EXAMPLE_PROFILE

    @pytest.fixture(scope="class")
    @classmethod
    def backbone(cls, tmp_path_factory):
        cls.settings = {"file": str(described(tmp_path_factory.mktemp("command")))}

    @pytest.fixture(scope="class")
    @classmethod
    def identity(cls, ann):
        return ann


def videos(path, identity, **settings):
    method = Command(
        settings_from(Command.Settings, {"file": str(path), **settings}), None, load_profile(EXAMPLE_PROFILE)
    )
    return method.generate(identity, None, [request_for(identity, Prompt("surf", "a <V> surfs in 'her' {out}; rm"), 0)])


def test_a_prompt_is_one_argument_whatever_is_in_it(tmp_path, ann, capfd):
    """No shell reads it, and braces in it are left alone."""
    next(videos(described(tmp_path), ann))
    assert """making "a woman surfs in 'her' {out}; rm" of 2 photos""" in capfd.readouterr().err


def test_so_many_photos_are_given_as_asked(tmp_path, ann):
    (all_,), (one,) = videos(described(tmp_path), ann), videos(described(tmp_path), ann, references=1)
    assert all_.digest != one.digest
    with pytest.raises(SettingError, match="references is 3; identity 'ann' has 2 photos"):
        next(videos(described(tmp_path), ann, references=3))


def test_placeholders_are_filled_once():
    values = {"photos": ["a.png", "b {seed}.png"], "seed": ["7"], "prompt": ["{out}"]}
    assert filled("{photos}", values) == ["a.png", "b {seed}.png"]
    assert filled("--refs={photos}:{seed}", values) == ["--refs=a.png,b {seed}.png:7"]
    assert filled("{prompt}", values) == ["{out}"]
    assert filled('{"json": 1}', values) == ['{"json": 1}']


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ("fails", "the command ended with 3: CUDA out of memory; workers.log has its output"),
        ("writes nothing", "wrote 0 videos in place of video.mkv"),
    ],
)
def test_what_goes_wrong_is_told_with_what_it_said(tmp_path, ann, wish, message):
    with pytest.raises(GenerationError) as told:
        next(videos(described(tmp_path, wish), ann))
    assert message in str(told.value)


def test_one_that_hangs_is_ended(tmp_path, ann):
    start = time.monotonic()
    with pytest.raises(GenerationError, match=r"was ended after 2 s: making .*stub_command\.py"):
        next(videos(described(tmp_path, "hangs", timeout_s=2), ann))
    assert time.monotonic() - start < 60


def test_what_it_started_ends_with_it(tmp_path):
    """A launcher's own processes too."""
    child = "import time; time.sleep(600)"
    code = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {child!r}]); print(p.pid, flush=True)"
    ended = run_program([sys.executable, "-c", code], tmp_path, dict(os.environ), 60)
    assert ended.status == 0
    assert gone(int(ended.last_lines[-1]))


def gone(number):
    """Whether a process has ended, a moment after it was told to."""
    for _ in range(100):
        status = Path(f"/proc/{number}/stat")
        if not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux ends it with its parent")
def test_it_ends_when_the_worker_is_killed(tmp_path):
    program = (
        "import os, pathlib, sys; from pvbench.machine.process import run_program; "
        "run_program([sys.executable, '-c', 'import os, time; print(os.getpid(), flush=True); time.sleep(600)'], "
        f"pathlib.Path({str(tmp_path)!r}), dict(os.environ), 600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as worker:
        number = int(worker.stderr.readline())
        worker.send_signal(signal.SIGKILL)
        assert gone(number)


def test_a_video_of_its_own_name_is_taken(tmp_path, ann):
    arguments = [sys.executable, str(STUB), *ARGUMENTS[:-1], "{folder}/mine.mkv"]
    (video,) = videos(described(tmp_path, command=arguments), ann)
    assert video.frames.shape == (6, 32, 24, 3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"command": "python"}, "command is 'python'; expected a list of texts"),
        ({"command": [*ARGUMENTS, "{steps}"]}, r"command has \{steps\}; known: photos, photo"),
        ({"command": ["x", "{prompt}", "{out}"]}, r"lacks \{photos\} or \{photo\}"),
        ({"command": ["x", "{photo}", "{out}"]}, r"lacks \{prompt\}"),
        ({"commit": None}, "lacks commit"),
        ({"commit": 5}, "commit is 5; expected a text"),
        ({"timeout_s": 0}, "timeout_s is 0; expected a positive number"),
        ({"licens": "MIT"}, r"unknown field 'licens' \(did you mean 'licence'\?\)"),
    ],
)
def test_a_description_that_cannot_be_used_is_refused(tmp_path, changed, message):
    with pytest.raises(SettingError, match=message):
        read_description(str(described(tmp_path, **changed)))


def test_a_missing_description_or_program_is_told(tmp_path, ann):
    with pytest.raises(SettingError, match="needs a file: command"):
        read_description("")
    with pytest.raises(SettingError, match="cannot be read"):
        read_description(str(tmp_path / "none.toml"))
    with pytest.raises(GenerationError, match=r"nowhere/python cannot be run in .*No such file"):
        next(videos(described(tmp_path, command=["/nowhere/python", *ARGUMENTS]), ann))


def test_a_key_rests_on_command_and_commit_and_not_on_words(tmp_path, ann):
    def key(**changed):
        path = described(tmp_path, **changed)
        return Command.files_digest(settings_from(Command.Settings, {"file": str(path)}), ann)

    plain = key()
    assert key(summary="x", licence="MIT", timeout_s=5, gpu_memory_gib=24) == plain
    assert key(commit="def") != plain
    assert key(command=[sys.executable, str(STUB), *ARGUMENTS, "--more"]) != plain


def test_the_page_names_every_placeholder():
    text = (Path(__file__).parents[2] / "docs" / "command.md").read_text()
    assert all(f"`{{{name}}}`" in text for name in PLACEHOLDERS)
    assert METHODS.get("command") is Command


# Whole runs


def run(home, out, file, people="people/ann,people/bob"):
    return subprocess.run(
        [sys.executable, "-m", "pvbench.cli", "run", "--profile", EXAMPLE_PROFILE, "--methods", f"command[file={file}]",
         "--identities", people, "--prompts", "2", "--out", out, "--device", "cpu", "--workers", "2"],
        cwd=home, capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, "PYTHONPATH": str(STUB.parent), "COLUMNS": "300"},
    )  # fmt: skip


def test_a_run_by_a_command_goes_on_where_it_failed_and_ends_with_the_same_bytes(tmp_path):
    make_identity(tmp_path / "people", "ann", "woman", 90)
    make_identity(tmp_path / "people", "bob", "man", 180)
    (tmp_path / "good").mkdir()
    good = described(tmp_path / "good")
    done = run(tmp_path, "whole", good)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "making" in (tmp_path / "whole" / "workers.log").read_text()
    # The same description, whose program is not there yet.
    late = tmp_path / "late.py"
    again = described(tmp_path, command=[sys.executable, str(late), *ARGUMENTS])
    failed = run(tmp_path, "late", again)
    assert failed.returncode == 2
    assert "the command ended with 2" in failed.stdout
    late.write_text(STUB.read_text())
    assert run(tmp_path, "late", again).returncode == 0
    names = lambda out: {name.rsplit("-", 1)[0] for name in contents(tmp_path / out) if name.endswith(".mkv")}  # noqa: E731
    assert len(names("late")) == len(names("whole")) == 4
    assert not list((tmp_path / "late" / "failures").glob("*"))


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ("another size", "yielded frames of shape (6, 34, 24, 3)"),
        ("fails", "the command ended with 3: CUDA out of memory"),
        ("hangs", "was ended after 2 s"),
    ],
)
def test_a_run_whose_command_never_works_ends_with_status_2(tmp_path, pvbench, inline, wish, message):
    make_identity(tmp_path / "people", "ann", "woman", 90)
    row = f"command[file={described(tmp_path, wish, timeout_s=2)}]"
    asked = ("--profile", EXAMPLE_PROFILE, "--methods", row, "--identities", "people/ann", "--prompts", "1")
    status, printed, told = pvbench("run", *asked, "--out", "out", "--device", "cpu", "--workers", "1")
    assert status == 2, printed + told
    assert message in " ".join(printed.split())
    assert "Traceback" not in printed + told
    assert (tmp_path / "out" / "report" / "report.md").is_file()


def test_what_the_file_says_of_licence_and_memory_reaches_plan_and_report(tmp_path, pvbench, inline, monkeypatch):
    make_identity(tmp_path / "people", "ann")
    file = described(tmp_path, licence="Apache-2.0, research alone", gpu_memory_gib=400)
    row = f"command[file={file}]"
    asked = ("--profile", EXAMPLE_PROFILE, "--methods", row, "--identities", "people/ann", "--prompts", "1")
    status, out, _ = pvbench("plan", *asked, "--json")
    words = json.loads(out)
    assert status == 0
    assert words["licences"][row] == "Apache-2.0, research alone"
    assert words["gpu_gib"] == {row: 400}
    monkeypatch.setattr("pvbench.runner.place.resolve_device", lambda device: "cuda")
    monkeypatch.setattr("pvbench.runner.memory.memory_of", lambda device: 80 * 2**30)
    status, _, err = pvbench("run", *asked, "--out", "small")
    assert status == 2
    assert f"cuda has 80 GiB of memory; at 6 frames of 32 x 24 pixels {row} about 400 GiB are expected" in err
    assert not list((tmp_path / "small").glob("videos/**/*.mkv"))
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert pvbench("run", *asked, "--out", "out", "--device", "cpu", "--workers", "1")[0] == 0
    report = tmp_path / "out" / "report"
    assert json.loads((report / "aggregates.json").read_text())["licences"] == {row: "Apache-2.0, research alone"}
    assert f"licence of {row}: Apache-2.0, research alone" in (report / "report.md").read_text()
