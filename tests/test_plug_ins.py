"""A package whose parts raise when they are imported is one line each, and stops nothing but itself."""

import pytest
from docs_package import pvbench, pvbench_in_turn
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
def lists(broken):
    """What `pvbench list` prints of each kind."""
    folder, _ = broken
    printed = pvbench_in_turn(folder, *(("list", kind, "--profile", EXAMPLE_PROFILE) for kind in KINDS))
    assert {status for _, status in printed} == {0}
    return dict(zip(KINDS, (text for text, _ in printed), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_list_shows_it_among_the_others(broken, lists, kind):
    _, raised = broken
    told = " ".join(lists[kind].split())
    assert f"broken_{kind}" in told
    assert raised in told
    assert "Traceback" not in told


def test_doctor_names_every_part(broken):
    folder, _ = broken
    told = pvbench(folder, "doctor", "--profile", EXAMPLE_PROFILE, "--device", "cpu", status=2)
    assert all(f"{kind.removesuffix('s')} broken_{kind}" in told for kind in KINDS)
    assert "Traceback" not in told


def test_a_run_that_does_not_ask_for_it_goes_on_and_one_that_does_ends_with_a_line(broken, people, tmp_path):
    folder, raised = broken
    common = ("run", "--profile", EXAMPLE_PROFILE, "--identities", people, "--prompts", "1", "--workers", "1",
              "--out", str(tmp_path / "run"))  # fmt: skip
    asking = [("--methods", "broken_methods"), ("--methods", "all"), ("--metrics", "broken_metrics")]
    first, *asked, last = pvbench_in_turn(folder, common, *((*common, *one) for one in asking), common)
    assert first[1] == 0
    for printed, status in asked:
        told = " ".join(printed.split())
        assert status == 2
        assert f"does not import from pvbench_broken:Part ({raised}: " in told
        assert "Traceback" not in told
    # What was made is still there.
    assert last[1] == 0
    assert "Everything is there already" in " ".join(last[0].split())
