"""open_clip comes without transformers, which can still be had afterwards."""

import subprocess
import sys

SCRIPT = """
import sys
{before}
from pvbench.torchvision_shim import load_open_clip_package
open_clip = load_open_clip_package()
assert "ViT-B-32" in open_clip.list_models()
print("transformers" in sys.modules)
from transformers import PreTrainedTokenizerFast
assert sys.modules["transformers"] is not None
"""


def loaded(before):
    script = SCRIPT.format(before=before)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()


def test_open_clip_is_imported_without_transformers():
    assert loaded("") == "False"


def test_transformers_that_are_there_stay():
    assert loaded("import transformers") == "True"
