"""A tuning step of every family by `benchmarks/paper_scale.py`: small on the CPU, at full size where there is a GPU."""

import gc

import pytest
import torch

from benchmarks import paper_scale
from pvbench.backbones import checkpointing

CARD_GIB = 80e9 / 2**30


@pytest.fixture(autouse=True)
def random_numbers_stay():
    """The script seeds torch's own generator, which other tests may draw from."""
    with torch.random.fork_rng():
        yield
    gc.collect()


def whole_step(rows):
    (found,) = (row for row in rows if row["what"].startswith("a whole step"))
    return found


@pytest.mark.parametrize("family", paper_scale.FAMILIES)
def test_a_small_step_runs_on_the_cpu_and_every_gradient_is_finite(family, capsys):
    rows = paper_scale.main(["--tiny", "--device", "cpu", "--family", family])
    assert {row["family"] for row in rows} == {family}
    moved, _, parameters = whole_step(rows)["finite_gradients"].partition(" of ")
    assert moved == parameters
    assert len(capsys.readouterr().out.splitlines()) == len(rows) == 9


def test_720p_keeps_checkpoints_in_the_hosts_memory(monkeypatch):
    copied = []
    to_host = checkpointing._to_host
    monkeypatch.setattr(checkpointing, "_to_host", lambda tensor: (copied.append(1), to_host(tensor))[1])
    asked = ["--tiny", "--device", "cpu", "--family", "hunyuan"]
    paper_scale.main([*asked, "--size", "544p"])
    assert not copied
    paper_scale.main([*asked, "--size", "720p"])
    assert copied


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize(
    ("words", "most_gib"),
    [
        (["--family", "animatediff"], 32.0),
        (["--family", "hunyuan", "--size", "544p"], 48.0),
        (["--family", "hunyuan", "--size", "720p"], CARD_GIB),
        (["--family", "wan"], CARD_GIB),
        (["--family", "cogvideox"], CARD_GIB),
    ],
)
def test_a_step_at_full_size_stays_within_the_memory_that_is_promised(words, most_gib):
    gc.collect()
    torch.cuda.empty_cache()
    rows = paper_scale.main([*words, "--device", "cuda"])
    assert max(row["peak_gib"] for row in rows) < most_gib
    moved, _, parameters = whole_step(rows)["finite_gradients"].partition(" of ")
    assert moved == parameters
