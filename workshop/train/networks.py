"""Networks in files: those that a training ends with, and those that it begins from."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file
from torch import nn

from pvbench.features.mini.face_extractor import load_state
from workshop.train.loop import Place


def save_network(folder: Path, module: nn.Module, **config: object) -> None:
    """Weights in half precision and the arguments that build the network."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for name, value in module.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def begin_from(place: Place, model: nn.Module, name: str) -> None:
    """Fills a network from the folder of weights that the training is to begin from, if there is one."""
    if place.start is not None:
        load_state(model, place.start / name, place.device)
        model.requires_grad_(True)
