"""Learned words: vectors that stand in a text for words which no text encoder knows."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from pvbench.errors import MethodError
from pvbench.latent_backbone import Tokens
from pvbench.prompt import spelled


def encode_with(text_encoder: Any, tokenizer: Any, text: str, tokens: Tokens) -> Tensor:
    """Hidden states (1, length, width) of a text in which learned words stand; differentiable in their vectors.

    Nothing of the tokenizer or the text encoder is changed, and nothing is kept: a text means another person with other
    tokens.

    Source: diffusers' `load_textual_inversion`, which adds the words for good, gives the same states.

    Raises:
        MethodError: a vector is not as wide as this text encoder's.
    """
    embedding = text_encoder.get_input_embeddings()
    known, width = embedding.weight.shape
    for name, vectors in tokens.items():
        if vectors.ndim != 2 or vectors.shape[1] != width:
            raise MethodError(
                f"learned word {name!r} has vectors of shape {tuple(vectors.shape)}; this text encoder's are {width} "
                f"wide: it was learned with another text encoder"
            )
    words = copy.deepcopy(tokenizer)
    rows = []
    for name, vectors in tokens.items():
        words.add_tokens(spelled(name, len(vectors)).split())
        rows.append(vectors)
    learned = torch.cat(rows).to(embedding.weight)
    numbers = words(
        [text], padding="max_length", truncation=True, max_length=words.model_max_length, return_tensors="pt"
    ).input_ids.to(embedding.weight.device)
    first = len(words) - len(learned)
    new = numbers >= first

    def within(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return (numbers.clamp(max=known - 1),)

    def replaced(_: nn.Module, given: tuple[Any, ...], found: Tensor) -> Tensor:
        return torch.where(new[..., None], learned[(numbers - first).clamp(min=0)], found)

    handles = [embedding.register_forward_pre_hook(within), embedding.register_forward_hook(replaced)]
    try:
        states: Tensor = text_encoder(numbers).last_hidden_state
    finally:
        for handle in handles:
            handle.remove()
    return states
