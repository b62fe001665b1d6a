"""Captions and tokens of rendered samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pvbench.world import vocabulary
from pvbench.world.caption import (
    ACTION_PHRASES,
    EXPRESSION_PHRASES,
    SCENE_PHRASES,
    Described,
    caption,
)
from pvbench.world.shot import Shot
from workshop import dataset

MAX_TOKENS = 40
RARE_WORDS = ("sks", "ohwx", "zwx")


def describe(labels: np.ndarray) -> tuple[Described, Shot]:
    """Person and shot that one row of a shard's labels names."""
    value = {name: table[int(labels[i])] for i, (name, table) in enumerate(vocabulary.LABELS.items())}
    shot = Shot(value["action"], value["expression"], value["scene"], value["clothes"], value["colour"], value["cap"])
    return Described(value["class_noun"], value["age_group"], dataset.look_of(labels)), shot


def random_caption(labels: np.ndarray, rng: np.random.Generator) -> str:
    """One of the sentences that describe the sample."""
    return caption(*describe(labels), rng)


def build_tokenizer(folder: Path, start: Path | None = None) -> Any:
    """The tokenizer in `folder`, made and saved unless it is there.

    It has byte-level pairs learnt on captions, so that their words are single tokens. A training that begins from the
    weights in another folder takes the tokenizer in `start`.

    The rare words that methods use as a person's name are words of the vocabulary that no caption holds. Delete the
    folder to learn anew, with the checkpoints of the models that read its tokens.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    # Learning numbers the letters anew each time: weights would read other tokens than they were trained on.
    for source in (folder, start):
        if source is not None and (source / "tokenizer.json").is_file():
            kept = PreTrainedTokenizerFast.from_pretrained(source)
            kept.save_pretrained(folder)
            return kept
    rng = np.random.default_rng(0)
    rows = [[int(rng.integers(len(t))) for t in vocabulary.LABELS.values()] for _ in range(4000)]
    lines = [random_caption(np.array(row, np.int8), rng) for row in rows]
    for table in (ACTION_PHRASES, SCENE_PHRASES, EXPRESSION_PHRASES):
        lines += [phrase for phrases in table.values() for phrase in phrases] * 20
    lines += ["a photo of", "a video of", "his her he she him person people"] * 20 + [" ".join(RARE_WORDS)] * 200
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token=None))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=["<|pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    # Last in the vocabulary: open_clip finds a sentence's end as its largest token.
    tokenizer.add_special_tokens(["<|startoftext|>", "<|endoftext|>"])
    first, last = tokenizer.token_to_id("<|startoftext|>"), tokenizer.token_to_id("<|endoftext|>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|startoftext|> $A <|endoftext|>",
        special_tokens=[("<|startoftext|>", first), ("<|endoftext|>", last)],
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|startoftext|>",
        eos_token="<|endoftext|>",
        pad_token="<|pad|>",
        model_max_length=MAX_TOKENS,
    )
    folder.mkdir(parents=True, exist_ok=True)
    fast.save_pretrained(folder)
    return fast


def tokens(tokenizer: Any, texts: Sequence[str]) -> Tensor:
    """Token numbers (n, MAX_TOKENS), padded and cut."""
    found = tokenizer(
        list(texts), padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
    ).input_ids
    return torch.as_tensor(found)
