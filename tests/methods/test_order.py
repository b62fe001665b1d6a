"""Nothing of one row or one person reaches another: rows and people in another order end with the same bytes."""

import pytest
from example_inputs import contents
from inline_workers import here
from tiny_models import write_toml

from pvbench.runner.grid import run_grid
from pvbench.runner.observer import Silent
from pvbench.runner.plan import Choice, make_plan
from pvbench.store import Store

ROWS = ("base", "dreambooth_lora", "personalvideo", "magicme", "id_animator", "consisid")
PEOPLE = ("ada", "chloe")


@pytest.fixture
def profile(tmp_path):
    """The miniature backbone in two steps, and tunings of one."""
    return write_toml(
        tmp_path / "short.toml",
        extends="mini",
        sampling={"steps": 2, "frames": 4, "shift": 4.0},
        methods__dreambooth_lora={"steps": 1, "token_steps": 1, "batch": 1},
        methods__personalvideo={"steps": 1, "token_steps": 1, "prefixes": 1},
        methods__magicme={"steps": 1},
    )


def made(profile, folder, rows, people):
    """Adapters and videos, in the order in which one worker makes them."""
    choice = Choice(str(profile), ",".join(rows), ",".join(people), "1", metrics="dynamic_degree")
    result = run_grid(make_plan(choice), Store(folder), Silent(), device="cpu", workers=1, executor=here)
    assert result.complete
    return {name: held for name, held in contents(folder).items() if name.startswith(("adapters/", "videos/"))}


def test_rows_and_people_in_another_order_end_with_the_same_bytes(profile, tmp_path):
    """In one worker, which has tuned and sampled every other row and person before."""
    one = made(profile, tmp_path / "one", ROWS, PEOPLE)
    other = made(profile, tmp_path / "other", ROWS[::-1], PEOPLE[::-1])
    assert sum(name.startswith("videos/") for name in one) == len(ROWS) * len(PEOPLE)
    assert sum(name.endswith(".safetensors") for name in one if name.startswith("adapters/")) == 2 * 6
    assert one == other
