"""What trains on rendered data needs no renderer."""

import subprocess
import sys

import pytest

MODULES = (
    "pvbench.world.shot",
    "pvbench.world.caption",
    "workshop.dataset",
    "workshop.commands",
    "workshop.train.captions",
    "workshop.train.loop",
    "workshop.train.text_to_image",
    "workshop.train.motion",
)


def test_captions_data_and_trainings_load_where_warp_is_not_installed():
    code = "import sys; sys.modules['warp'] = None; import " + ", ".join(MODULES)
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def test_a_shot_is_the_same_by_either_name():
    pytest.importorskip("warp", reason='rendering people needs pip install "pvbench[world]"')
    from pvbench.world import render, shot

    assert render.Shot is shot.Shot
