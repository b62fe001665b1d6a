"""Call `load_torchvision()` before importing torchvision, open_clip, timm or peft: it makes torchvision importable.

torchvision's wheel is linked against CUDA. Beside a CPU-only torch its operators do not load, and `import torchvision`
stops at `operator torchvision::nms does not exist`, taking open_clip and peft along. Declaring the two operators that
its import looks up is enough: nothing here uses them. Beside a CUDA torch the operators load and nothing is declared.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path
from typing import Any

from pvbench.errors import PvbenchError


@functools.cache
def load_torchvision() -> Any:
    """The torchvision module, imported so that the packages on top of it can be imported as well.

    Raises:
        PvbenchError: where torchvision is not installed.
    """
    import torch

    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        raise PvbenchError(
            "torchvision is not installed beside torch; install pvbench with its constraints file: "
            "pip install -c constraints.txt pvbench"
        )
    operators = Path(found.origin).parent / "_C.so"
    try:
        torch.ops.load_library(str(operators))
    except OSError:
        _declare_operators(torch)
    import torchvision

    return torchvision


@functools.cache
def load_open_clip_package() -> Any:
    """The open_clip module, without transformers behind it unless that is loaded already.

    open_clip imports transformers, a second of a core, for text towers out of a hub, which nothing here takes; where it
    is missing, open_clip goes without.

    Raises:
        PvbenchError: where torchvision is not installed.
    """
    load_torchvision()
    hidden = "transformers" not in sys.modules
    if hidden:
        sys.modules["transformers"] = None  # type: ignore[assignment]
    try:
        import open_clip
    finally:
        if hidden:
            del sys.modules["transformers"]
    return open_clip


# torch forgets an operator when its Library is collected.
_libraries: list[Any] = []


def _declare_operators(torch: Any) -> None:
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _libraries.append(library)
