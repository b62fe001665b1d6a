"""The page about running says what runs do."""

import re
import tomllib
from pathlib import Path

from example_inputs import EXAMPLE_PROFILE

from pvbench.profile import load_profile
from pvbench.runner.grid import run_grid
from pvbench.runner.plan import Choice, make_plan
from pvbench.runner.progress import RichObserver
from pvbench.store import Store

PAGE = (Path(__file__).parents[1] / "docs" / "running.md").read_text(encoding="utf-8")


def test_every_file_of_a_run_is_on_the_page_and_no_other(tmp_path, people):
    from rich.console import Console

    plan = make_plan(Choice(EXAMPLE_PROFILE, "example_stamp", people, "1"))
    store = Store(tmp_path / "run")
    run_grid(plan, store, RichObserver(Console(quiet=True)), device="cpu", workers=1)
    there = {path.relative_to(store.folder).as_posix() for path in store.folder.rglob("*") if path.is_file()}
    rows = re.findall(r"^\| `([\w./-]+)` \|", PAGE.split("## The run folder")[1].split("##")[0], re.MULTILINE)
    words = {"VARIANT": "example_stamp", "IDENTITY": r"\w+", "PROMPT": r"\w+", "SEED": r"\d+", "KEY": r"[0-9a-f]{12}"}
    patterns = [re.sub("|".join(words), lambda found: words[found[0]], row.replace(".", r"\.")) for row in rows]
    for name in there - {".lock"}:
        assert any(re.match(pattern, name) for pattern in patterns), name
    unused = [pattern for pattern in patterns if not any(re.match(pattern, name) for name in there)]
    # No words are learned, nothing fails and nobody judges here; report and costs are written by the command line.
    assert unused == ["shelf/", "failures/", r"judged\.csv", "cost/", "report/"]


def test_the_example_profile_loads(tmp_path):
    (text,) = [text for text in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if "extends" in tomllib.loads(text)]
    assert tomllib.loads(text)["extends"] == "mini"
    (tmp_path / "mine.toml").write_text(text)
    profile = load_profile(str(tmp_path / "mine.toml"))
    assert profile.sampling.steps == 24
    assert profile.lineage == ("mine", "mini")
