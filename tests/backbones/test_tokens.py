"""Learned words in a text: diffusers' states, nothing left behind, and never another person's."""

import pytest
import torch

from pvbench.backbone import load_backbone
from pvbench.errors import MethodError
from pvbench.method import Adapter, save_adapter, tokens_path
from pvbench.prompt import spelled

WIDTH = 128


def vectors(seed, count=3, width=WIDTH):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def states(backbone, text, words=None):
    return backbone.encode(text, words).tensors["states"]


def test_a_word_of_several_vectors_is_spelled_as_diffusers_spells_it():
    assert spelled("<ada>", 1) == "<ada>"
    assert spelled("<ada>", 3) == "<ada> <ada>_1 <ada>_2"


def test_states_are_those_of_diffusers_textual_inversion(short_backbone, short_profile, tmp_path):
    word = vectors(0)
    save_adapter(tmp_path / "ada.safetensors", Adapter({"unet.x": torch.zeros(1)}, tokens={"<ada>": word}))
    theirs = load_backbone(short_profile, "cpu").pipe
    theirs.load_textual_inversion(str(tokens_path(tmp_path / "ada.safetensors")))
    text = theirs.maybe_convert_prompt("a <ada> woman on a beach", theirs.tokenizer)
    assert text == f"a {spelled('<ada>', 3)} woman on a beach"
    numbers = theirs.tokenizer(
        [text], padding="max_length", truncation=True, max_length=theirs.tokenizer.model_max_length, return_tensors="pt"
    ).input_ids
    with torch.no_grad():
        expected = theirs.text_encoder(numbers).last_hidden_state
        found = states(short_backbone, text, {"<ada>": word})
    torch.testing.assert_close(found, expected)


def test_states_of_a_text_are_never_shared_between_people(short_backbone):
    """The same text with another person's words, then without: each gets states of its own, in any order."""
    text = f"a {spelled('<v>', 3)} woman in the snow"
    with torch.no_grad():
        ada, ben = ({"<v>": vectors(seed)} for seed in (1, 2))
        first, other, again = (states(short_backbone, text, words) for words in (ada, ben, ada))
        plain = states(short_backbone, "a woman in the snow")
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-2)
    assert torch.equal(states(short_backbone, "a woman in the snow"), plain)
    assert text not in short_backbone._kept


def test_nothing_of_the_text_encoder_is_changed(short_backbone):
    before = short_backbone.pipe.text_encoder.get_input_embeddings().weight.clone()
    words = len(short_backbone.pipe.tokenizer)
    short_backbone.encode("a <v> man", {"<v>": vectors(3, 1)})
    after = short_backbone.pipe.text_encoder.get_input_embeddings()
    assert torch.equal(after.weight, before)
    assert len(short_backbone.pipe.tokenizer) == words
    assert not after._forward_hooks
    assert not after._forward_pre_hooks


def test_gradient_reaches_the_vectors(short_backbone):
    word = vectors(4, 2).requires_grad_(True)
    states(short_backbone, f"a {spelled('<v>', 2)} man", {"<v>": word}).square().sum().backward()
    assert (word.grad.abs().sum(dim=1) > 0).all()


def test_words_of_another_text_encoder_are_refused(short_backbone):
    with pytest.raises(MethodError, match=r"'<v>' has vectors of shape \(3, 64\); this text encoder's are 128 wide"):
        short_backbone.encode("a <v> man", {"<v>": vectors(5, width=64)})
