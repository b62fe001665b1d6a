"""The text side of the mini backbone: words that no caption holds can still name a person."""

import torch

from workshop.train.captions import RARE_WORDS, build_tokenizer, tokens
from workshop.train.text_to_image import lengthen_rare_words, make_text_encoder


def test_rare_words_become_as_long_as_trained_ones_and_others_stay(tmp_path):
    tokenizer = build_tokenizer(tmp_path)
    torch.manual_seed(0)
    text = make_text_encoder(tokenizer)
    table = text.get_input_embeddings().weight
    rare = [tokenizer(word).input_ids[1] for word in RARE_WORDS]
    others = [i for i in range(len(table)) if i not in rare]
    with torch.no_grad():
        table[others[:300]] *= 5 / table[others[:300]].norm(dim=1, keepdim=True)
    before = table.detach().clone()
    lengthen_rare_words(text, tokenizer)
    assert len(set(rare)) == len(RARE_WORDS)
    torch.testing.assert_close(table[rare].norm(dim=1), torch.full((len(rare),), 5.0))
    torch.testing.assert_close(table[others], before[others], rtol=0, atol=0)
    turned = torch.nn.functional.cosine_similarity(table[rare], before[rare])
    torch.testing.assert_close(turned, torch.ones(len(rare)))
    lengthened = table.detach().clone()
    lengthen_rare_words(text, tokenizer)
    torch.testing.assert_close(table, lengthened, rtol=0, atol=0, msg="a training that went on from finished weights")


def test_a_resumed_training_reads_the_same_tokens(tmp_path):
    """As does one that begins in a folder of its own from those weights."""
    first = build_tokenizer(tmp_path / "first")
    content = (tmp_path / "first" / "tokenizer.json").read_bytes()
    again, beside = build_tokenizer(tmp_path / "first"), build_tokenizer(tmp_path / "second", tmp_path / "first")
    texts = ["a man in a red T-shirt, waving", "a sks woman on a beach"]
    for other in (again, beside):
        assert other.get_vocab() == first.get_vocab()
        assert torch.equal(tokens(other, texts), tokens(first, texts))
    assert (tmp_path / "first" / "tokenizer.json").read_bytes() == content
    assert (tmp_path / "second" / "tokenizer.json").is_file()
