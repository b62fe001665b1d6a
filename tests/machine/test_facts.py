"""Versions and machine, as reports print them."""

import importlib.metadata
import platform
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

import pvbench
from pvbench.machine import facts

CPUINFO = "processor\t: 0\nmodel name\t: Some CPU @ 3.00GHz\n\nprocessor\t: 1\nmodel name\t: Another\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A machine whose /proc lies in a folder of the test's own."""
    monkeypatch.setattr(facts, "Path", lambda path: tmp_path / Path(path).relative_to("/"))
    (tmp_path / "proc").mkdir()
    return tmp_path / "proc"


def gpu(place, slot, model):
    card = place / "driver" / "nvidia" / "gpus" / slot
    card.mkdir(parents=True)
    (card / "information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 42\nGPU UUID: \t GPU-1\n")


def test_versions_are_those_of_pvbench_python_and_what_is_installed():
    found = facts.versions()
    assert found["pvbench"] == pvbench.__version__
    assert found["python"] == platform.python_version()
    for library in ("torch", "numpy", "opencv-python-headless"):
        assert found[library] == importlib.metadata.version(library)


def test_a_library_that_is_not_installed_is_left_out(monkeypatch):
    def version(name):
        if name == "torch":
            raise PackageNotFoundError(name)
        return "1.2.3"

    monkeypatch.setattr(facts, "version", version)
    found = facts.versions()
    assert "torch" not in found
    assert found["numpy"] == "1.2.3"


def test_the_machine_is_told_by_its_system_and_cores(monkeypatch, place):
    monkeypatch.setattr("os.cpu_count", lambda: 24)
    assert facts.machine() == {"system": f"{platform.system()} {platform.machine()}", "cores": "24"}
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert facts.machine()["cores"] == "1"


def test_the_processor_is_the_first_that_the_system_names(place):
    (place / "cpuinfo").write_text(CPUINFO)
    assert facts.machine()["processor"] == "Some CPU @ 3.00GHz"


@pytest.mark.parametrize("text", ["", "processor\t: 0\nBogoMIPS\t: 50.00\n"])
def test_a_system_that_names_no_processor_has_none(place, text):
    (place / "cpuinfo").write_text(text)
    assert "processor" not in facts.machine()


def test_an_accelerator_is_told_by_its_model(place):
    gpu(place, "0000:01:00.0", "Some GPU 80GB")
    assert facts.machine()["accelerator"] == "Some GPU 80GB"


def test_a_machine_without_an_accelerator_names_none(place):
    assert "accelerator" not in facts.machine()


def test_cards_are_counted(place):
    for slot in ("0000:01:00.0", "0000:02:00.0"):
        gpu(place, slot, "NVIDIA H200")
    assert facts.machine()["accelerator"] == "2 x NVIDIA H200"
    gpu(place, "0000:03:00.0", "NVIDIA L4")
    assert facts.machine()["accelerator"] == "2 x NVIDIA H200, NVIDIA L4"
