"""What users may rely on: the names that `pvbench` lists, each there, none imported before it is asked for."""

import subprocess
import sys
from pathlib import Path

import pytest

import pvbench

NAMES = [
    "Adapter", "Backbone", "BackboneLoader", "Column", "Evaluator", "EvaluatorLoader", "FeatureGroup", "Identity",
    "IdentityReward", "LatentBackbone", "MeasureRequest", "Method", "Metric", "Profile", "Prompt", "PvbenchError",
    "Request", "RewardLoader", "SemanticReward", "SetMetric", "Video", "__version__", "load_identities", "load_profile",
    "load_prompts", "measure", "read_video", "run", "write_video",
]  # fmt: skip


def test_these_are_the_public_names():
    assert pvbench.__all__ == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_is_there_and_documented(name):
    found = getattr(pvbench, name)
    assert name == "__version__" or (found.__doc__ or "").strip()
    assert name in dir(pvbench)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'pvbench' has no attribute 'Metrik'"):
        _ = pvbench.Metrik


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, pvbench; print(sorted({'torch', 'numpy', 'av', 'diffusers', 'rich'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_type_checkers_see_the_same_names():
    """The imports that they alone see name what `__getattr__` finds."""
    text = Path(pvbench.__file__).read_text()
    imported = text.partition("if TYPE_CHECKING:")[2].partition("__version__")[0]
    for name, module in pvbench._WHERE.items():
        assert any(line.strip().startswith(f"from {module} import ") and name in line for line in imported.splitlines())


def test_a_run_and_a_measuring_from_python(people, tmp_path):
    from example_inputs import EXAMPLE_PROFILE

    report = pvbench.run(tmp_path / "run", profile=EXAMPLE_PROFILE, identities=people, prompts="1", device="cpu",
                         workers=1)  # fmt: skip
    assert (report / "report.md").is_file()
    again = pvbench.run(tmp_path / "run", profile=EXAMPLE_PROFILE, identities=people, prompts="1", device="cpu",
                        workers=1)  # fmt: skip
    assert again == report
    profile = pvbench.load_profile(EXAMPLE_PROFILE)
    request = pvbench.MeasureRequest(
        (tmp_path / "run",), profile, tmp_path / "measured", identities=tmp_path / "people", workers=1
    )
    assert pvbench.measure(request).made == 0
