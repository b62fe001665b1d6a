"""The method, metric, evaluator and backbone of the pages on adding one, as one package that pip installs."""

import json
import subprocess
import sys
import tomllib
from collections import defaultdict

import pytest
from docs_package import package_of, pvbench_in_turn
from example_inputs import EXAMPLE_PROFILE

PAGES = ("adding_a_method.md", "adding_a_metric.md", "adding_an_evaluator.md", "adding_a_backbone.md")
KINDS = ("methods", "metrics", "evaluators", "backbones")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder into which pip has installed a package of the modules of all four pages."""
    source, modules, entries = tmp_path_factory.mktemp("source"), [], defaultdict(list)
    for page in PAGES:
        folder = tmp_path_factory.mktemp("page")
        package_of(page, folder)
        project = tomllib.loads((folder / "pyproject.toml").read_text())
        for module in project["tool"]["setuptools"]["py-modules"]:
            (folder / f"{module}.py").rename(source / f"{module}.py")
            modules.append(module)
        for group, parts in project["project"]["entry-points"].items():
            entries[group] += [f'{name} = "{part}"' for name, part in parts.items()]
    assert len(modules) == len(PAGES)
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n\n'
        '[project]\nname = "pvbench-all-four"\nversion = "1.0"\ndependencies = ["pvbench"]\n\n'
        + "\n".join("\n".join([f'[project.entry-points."{group}"]', *lines]) for group, lines in entries.items())
        + f"\n\n[tool.setuptools]\npy-modules = {modules}\n"
    )
    target = tmp_path_factory.mktemp("installed")
    without_network = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", *without_network, "--target", str(target), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.fixture(scope="module")
def printed(installed, tmp_path_factory):
    """What the lists, doctor, a run of the four parts and its report print, and the folder of the run."""
    folder = tmp_path_factory.mktemp("run")
    profile = folder / "all_four.toml"
    profile.write_text(
        f'extends = "{EXAMPLE_PROFILE}"\nmethods_default = ["base", "one_photo"]\n\n'
        '[backbone]\nkind = "stripes"\n\n[evaluators.parts]\nsharpness = "laplacian"\n'
    )
    run = ("run", "--profile", str(profile), "--prompts", "1", "--workers", "1", "--out", str(folder / "run"))
    done = pvbench_in_turn(
        installed,
        *(("list", kind, "--profile", str(profile)) for kind in KINDS),
        ("doctor", "--profile", str(profile), "--device", "cpu"),
        (*run, "--identities", "2", "--metrics", "all,face_area,sharpness"),
        ("report", str(folder / "run")),
    )
    assert [status for _, status in done] == [0] * len(done), done
    return dict(zip((*KINDS, "doctor", "run", "report"), (text for text, _ in done), strict=True)), folder / "run"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("methods", ("one_photo", "one of the photos, held still", "average_photo", "pan=1")),
        ("metrics", ("face_area", "a portrait that fills the frame, whoever it shows", "only where named")),
        ("evaluators", ("variance of the Laplacian", "sharpness/laplacian")),
        ("backbones", ("moving stripes in the colours that a text names", "images, latents, lora, styles, tokens")),
    ],
)
def test_each_part_is_listed_with_what_it_says_of_itself(printed, kind, said):
    told = " ".join(printed[0][kind].split())
    assert [text for text in said if text not in told] == []


def test_doctor_loads_them(printed):
    told = " ".join(printed[0]["doctor"].split())
    assert "stripes loads" in told
    assert "laplacian loads" in told


def test_a_run_has_all_four(printed):
    _, run = printed
    assert json.loads((run / "plan.json").read_text())["backbone"] == {"backbone": "stripes", "version": 1}
    methods = json.loads((run / "report" / "aggregates.json").read_text())["methods"]
    assert {name: method["done"] for name, method in methods.items()} == {"base": 2, "one_photo": 2}
    for method in methods.values():
        assert method["scores"]["face_area"]["value"] == 1
        assert method["scores"]["sharpness"]["value"] > 0


def test_its_report_tells_how_to_read_them(printed):
    _, run = printed
    report = (run / "report" / "report.md").read_text()
    assert "`one_photo`" in report or "one_photo" in report
    assert "More is not better: it tells close-ups from long shots." in report
    assert "What cheats face_area: a portrait that fills the frame, whoever it shows" in report
    assert "noise, and a grid that a decoder leaves" in report
