"""The card's description in words: contract, and what the backbone is told."""

import pytest
from short_contract import ShortContract

from pvbench.identity import load_identities
from pvbench.method import request_for
from pvbench.methods.described import Described, DescribedSettings
from pvbench.prompt import Prompt


class TestDescribed(ShortContract):
    method = Described


@pytest.mark.parametrize("name", ["ada", "hugo"])
def test_the_backbone_is_told_the_description(name, short_backbone, short_profile, monkeypatch):
    told = []
    monkeypatch.setattr(short_backbone, "sample", lambda text, noise_seed: told.append((text, noise_seed)))
    (identity,) = load_identities([name])
    request = request_for(identity, Prompt("p1", "a <V> in a red shirt turns <his> head"), 0)
    list(Described(DescribedSettings(), short_backbone, short_profile).generate(identity, None, [request]))
    ((text, seed),) = told
    article, _, words = identity.description.rstrip(".").partition(" ")
    assert article in ("A", "An")
    assert words in text
    assert text.endswith(f"in a red shirt turns {'her' if name == 'ada' else 'his'} head")
    assert seed == request.noise_seed
