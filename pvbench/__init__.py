"""pvbench: does a text-to-video method keep the person's face without freezing the video or ignoring the prompt?

What is listed in `__all__` is the public interface; the rest may change from one version to the next. Nothing is
imported before it is asked for: `import pvbench` takes no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pvbench.backbone import Backbone, BackboneLoader
    from pvbench.errors import PvbenchError
    from pvbench.evaluator import Evaluator, EvaluatorLoader, FeatureGroup
    from pvbench.identity import Identity, load_identities
    from pvbench.latent_backbone import LatentBackbone
    from pvbench.measuring.measure import measure
    from pvbench.measuring.request import MeasureRequest
    from pvbench.method import Adapter, Method, Request
    from pvbench.metrics import Column, Metric, SetMetric
    from pvbench.profile import Profile, load_profile
    from pvbench.prompt import Prompt, load_prompts
    from pvbench.reward import IdentityReward, RewardLoader, SemanticReward
    from pvbench.runner.run import run
    from pvbench.video import Video, read_video, write_video

__version__ = "0.1.0"

_WHERE = {
    "Adapter": "pvbench.method",
    "Backbone": "pvbench.backbone",
    "BackboneLoader": "pvbench.backbone",
    "Column": "pvbench.metrics",
    "Evaluator": "pvbench.evaluator",
    "EvaluatorLoader": "pvbench.evaluator",
    "FeatureGroup": "pvbench.evaluator",
    "Identity": "pvbench.identity",
    "IdentityReward": "pvbench.reward",
    "LatentBackbone": "pvbench.latent_backbone",
    "MeasureRequest": "pvbench.measuring.request",
    "Method": "pvbench.method",
    "Metric": "pvbench.metrics",
    "Profile": "pvbench.profile",
    "Prompt": "pvbench.prompt",
    "PvbenchError": "pvbench.errors",
    "Request": "pvbench.method",
    "RewardLoader": "pvbench.reward",
    "SemanticReward": "pvbench.reward",
    "SetMetric": "pvbench.metrics",
    "Video": "pvbench.video",
    "load_identities": "pvbench.identity",
    "load_profile": "pvbench.profile",
    "load_prompts": "pvbench.prompt",
    "measure": "pvbench.measuring.measure",
    "read_video": "pvbench.video",
    "run": "pvbench.runner.run",
    "write_video": "pvbench.video",
}

__all__ = [
    "Adapter",
    "Backbone",
    "BackboneLoader",
    "Column",
    "Evaluator",
    "EvaluatorLoader",
    "FeatureGroup",
    "Identity",
    "IdentityReward",
    "LatentBackbone",
    "MeasureRequest",
    "Method",
    "Metric",
    "Profile",
    "Prompt",
    "PvbenchError",
    "Request",
    "RewardLoader",
    "SemanticReward",
    "SetMetric",
    "Video",
    "__version__",
    "load_identities",
    "load_profile",
    "load_prompts",
    "measure",
    "read_video",
    "run",
    "write_video",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
