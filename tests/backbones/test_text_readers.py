"""How much of a text each backbone reads, as its loader says without loading the text encoder."""

import json
import shutil

import pytest

from pvbench.backbone import backbone_loader, load_backbone
from pvbench.backbones.tokenizers import load_fast_tokenizer
from pvbench.errors import WeightsError

pytestmark = pytest.mark.usefixtures("no_network")


@pytest.mark.parametrize(
    ("family", "lines", "name", "most"),
    [
        ("animatediff", {}, "CLIP of Stable Diffusion", 77),
        ("hunyuan", {}, "LLaMA of HunyuanVideo", 256),
        ("wan", {}, "UMT5 of Wan", 512),
        ("cogvideox", {}, "T5 of CogVideoX", 40),
        ("cogvideox", {"kind": "consisid"}, "T5 of ConsisID", 40),
    ],
)
def test_a_loader_says_what_is_read(request, family, lines, name, most):
    profile = request.getfixturevalue(family)(**lines)
    reader = backbone_loader(profile).text_reader(profile)
    assert (reader.name, reader.most) == (name, most)
    assert reader.count("a a") == reader.count("a") + reader.count("b b") - reader.count("b")


@pytest.mark.parametrize("family", ["wan", "cogvideox", "hunyuan"])
def test_what_is_counted_as_read_moves_the_words_and_what_is_beyond_does_not(request, family):
    profile = request.getfixturevalue(family)()
    reader, backbone = backbone_loader(profile).text_reader(profile), load_backbone(profile, "cpu")

    def states(text):
        return backbone.encode(text).tensors["states"]

    text = "a" * 600
    while reader.count(text) > reader.most:
        text = text[:-1]
    assert reader.count(text) == reader.most
    assert not states(text).equal(states(text[:-1] + "b"))
    # The last place is the end's: a text that is one letter longer loses it, or is read as far.
    assert states(text + "aa").equal(states(text + "ab"))


def test_a_text_encoder_that_does_not_say_its_vocabulary_is_named(wan, checkpoints, tmp_path):
    copied = shutil.copytree(checkpoints / "wan", tmp_path / "wan")
    (copied / "text_encoder" / "config.json").write_text("{}")
    profile = wan(base=str(copied))
    with pytest.raises(WeightsError, match="vocab_size is None, expected a number"):
        backbone_loader(profile).text_reader(profile)


@pytest.mark.parametrize(
    "rule",
    [
        {"type": "Whitespace"},
        {"type": "WhitespaceSplit"},
        {"type": "BertPreTokenizer"},
        {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Whitespace"},
                {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
            ],
        },
    ],
    ids=["words", "spaces", "bert", "a space before each"],
)
@pytest.mark.parametrize("family", ["hunyuan", "wan"])
def test_a_tokenizer_that_loses_spaces_or_adds_some_is_refused(request, checkpoints, tmp_path, family, rule):
    copied = shutil.copytree(checkpoints / family, tmp_path / family)
    path = copied / "tokenizer" / "tokenizer.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "pre_tokenizer": rule}))
    profile = request.getfixturevalue(family)(base=str(copied))
    with pytest.raises(WeightsError, match=r"tokenizer: the tokenizer reads 'A woman in a red coat, dancing"):
        backbone_loader(profile).text_reader(profile)
    with pytest.raises(WeightsError, match="the tokenizer reads"):
        load_backbone(profile, "cpu")


@pytest.mark.parametrize("scheme", ["always", "first"])
def test_a_tokenizer_of_pieces_keeps_spaces_and_is_read(tmp_path, scheme):
    """As sentencepiece's are written for the tokenizers library: a space is a letter of its own, one stands before."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = ["<pad>", "</s>", "<unk>", "\u2581", *(chr(code) for code in range(33, 127))]
    made = Tokenizer(models.Unigram([(letter, -1.0) for letter in letters], unk_id=2))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    made.decoder = decoders.Metaspace(prepend_scheme=scheme)
    made.save(str(tmp_path / "tokenizer.json"))
    read = load_fast_tokenizer(tmp_path, len(letters))
    assert read("a b").input_ids == made.encode("a b").ids
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(WeightsError, match="as 'Awomaninaredcoat,dancing"):
        load_fast_tokenizer(tmp_path, len(letters))
