"""A package whose parts raise when they are imported is one line each, and stops nothing but itself."""

import pytest
from docs_package import pvbench_in_turn
from example_inputs import EXAMPLE_PROFILE

KINDS = ("methods", "metrics", "backbones", "evaluators", "rewards")
RAISED = {"runtime": "RuntimeError('no licence')", "system": "OSError('no library')", "ends": "SystemExit(3)"}
ASKING = {"methods": ("--methods", "{}_methods"), "metrics": ("--metrics", "{}_metrics")}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A package with a part of each kind in each of three modules, which raise."""
    folder = tmp_path_factory.mktemp("broken")
    metadata = folder / "pvbench_broken-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: pvbench-broken\nVersion: 1.0\n")
    for module, raised in RAISED.items():
        (folder / f"pvbench_{module}.py").write_text(f"raise {raised}\n")
    lines = []
    for kind in KINDS:
        lines += [f"[pvbench.{kind}]", *(f"{module}_{kind} = pvbench_{module}:Part" for module in RAISED)]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def printed(package, same_people, tmp_path_factory):
    """What commands print, with their status: every list, doctor, a run, runs that ask for a part, the run again."""
    run = ("run", "--profile", EXAMPLE_PROFILE, "--identities", same_people, "--prompts", "1", "--workers", "1",
           "--out", str(tmp_path_factory.mktemp("out") / "run"))  # fmt: skip
    lines: dict[str, tuple[str, ...]] = {kind: ("list", kind, "--profile", EXAMPLE_PROFILE) for kind in KINDS}
    lines |= {"doctor": ("doctor", "--profile", EXAMPLE_PROFILE, "--device", "cpu"), "first": run}
    for module in RAISED:
        for kind, (option, value) in ASKING.items():
            lines[f"{module} {kind}"] = (*run, option, value.format(module))
    lines |= {"all": (*run, "--methods", "all"), "last": run}
    return dict(zip(lines, pvbench_in_turn(package, *lines.values()), strict=True))


@pytest.mark.parametrize("module", RAISED)
@pytest.mark.parametrize("kind", KINDS)
def test_list_shows_it_among_the_others(printed, kind, module):
    text, status = printed[kind]
    told = " ".join(text.split())
    assert status == 0
    assert f"{module}_{kind}" in told
    assert RAISED[module].partition("(")[0] in told
    assert "Traceback" not in told


def test_doctor_names_every_part(printed):
    told, status = printed["doctor"]
    assert status == 2
    assert all(f"{kind.removesuffix('s')} {module}_{kind}" in told for kind in KINDS for module in RAISED)
    assert "Traceback" not in told


@pytest.mark.parametrize("module", RAISED)
@pytest.mark.parametrize("kind", ASKING)
def test_a_run_that_asks_for_it_ends_with_a_line(printed, kind, module):
    text, status = printed[f"{module} {kind}"]
    told = " ".join(text.split())
    assert status == 2
    assert f"does not import from pvbench_{module}:Part ({RAISED[module].partition('(')[0]}: " in told
    assert "Traceback" not in told


def test_a_run_of_all_methods_ends_with_a_line(printed):
    text, status = printed["all"]
    assert status == 2
    assert "does not import from pvbench_" in " ".join(text.split())


def test_a_run_that_does_not_ask_for_it_goes_on_and_keeps_what_it_made(printed):
    assert printed["first"][1] == 0
    assert printed["last"][1] == 0
    assert "Everything is there already" in " ".join(printed["last"][0].split())
