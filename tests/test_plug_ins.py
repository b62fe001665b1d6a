"""A package whose parts raise when they are imported is one line each, and stops nothing but itself."""

import pytest
from docs_package import pvbench_in_turn
from example_inputs import EXAMPLE_PROFILE

KINDS = ("methods", "metrics", "backbones", "evaluators", "rewards")


@pytest.fixture(scope="module", params=["RuntimeError('no licence')", "OSError('no library')", "SystemExit(3)"])
def broken(request, tmp_path_factory):
    """A package with a part of each kind in a module that raises, and what its line says."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "pvbench_broken.py").write_text(f"raise {request.param}\n")
    metadata = folder / "pvbench_broken-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: pvbench-broken\nVersion: 1.0\n")
    lines = [f"[pvbench.{kind}]\nbroken_{kind} = pvbench_broken:Part\n" for kind in KINDS]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    return folder, request.param.partition("(")[0]


@pytest.fixture(scope="module")
def printed(broken, same_people, tmp_path_factory):
    """What commands print, with their status: every list, doctor, a run, runs that ask for a part, the run again."""
    folder, _ = broken
    run = ("run", "--profile", EXAMPLE_PROFILE, "--identities", same_people, "--prompts", "1", "--workers", "1",
           "--out", str(tmp_path_factory.mktemp("out") / "run"))  # fmt: skip
    asking = [("--methods", "broken_methods"), ("--methods", "all"), ("--metrics", "broken_metrics")]
    lines = {kind: ("list", kind, "--profile", EXAMPLE_PROFILE) for kind in KINDS}
    lines |= {"doctor": ("doctor", "--profile", EXAMPLE_PROFILE, "--device", "cpu"), "first": run}
    lines |= {f"asked {n}": (*run, *one) for n, one in enumerate(asking)} | {"last": run}
    return dict(zip(lines, pvbench_in_turn(folder, *lines.values()), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_list_shows_it_among_the_others(broken, printed, kind):
    _, raised = broken
    text, status = printed[kind]
    told = " ".join(text.split())
    assert status == 0
    assert f"broken_{kind}" in told
    assert raised in told
    assert "Traceback" not in told


def test_doctor_names_every_part(printed):
    told, status = printed["doctor"]
    assert status == 2
    assert all(f"{kind.removesuffix('s')} broken_{kind}" in told for kind in KINDS)
    assert "Traceback" not in told


def test_a_run_that_does_not_ask_for_it_goes_on_and_one_that_does_ends_with_a_line(broken, printed):
    _, raised = broken
    assert printed["first"][1] == 0
    for asked in range(3):
        text, status = printed[f"asked {asked}"]
        told = " ".join(text.split())
        assert status == 2
        assert f"does not import from pvbench_broken:Part ({raised}: " in told
        assert "Traceback" not in told
    # What was made is still there.
    assert printed["last"][1] == 0
    assert "Everything is there already" in " ".join(printed["last"][0].split())
