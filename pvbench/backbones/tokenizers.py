"""Tokenizers out of published folders, and the check that they read texts as their model learned to."""

from __future__ import annotations

# ruff: noqa: E402  the shim comes before anything that imports torchvision
from pvbench.torchvision_shim import load_torchvision

load_torchvision()

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pvbench.backbone import TextReader
from pvbench.errors import WeightsError, first_line
from pvbench.weights.layout import read_json

PROBE = "a photo of a cat"
HUNYUAN_WORDS = 256
"""Tokens of a prompt that HunyuanVideo reads, as in diffusers' pipeline; the words before it count apart."""
WAN_WORDS = 512
"""Tokens of a prompt that Wan reads; shorter ones are filled up with zeros, which the model was trained with."""
_T5_EXTRA = 100
"""Tokens that T5 has behind its pieces."""
_OPENAI_WORDS, _OPENAI_PROBE = 49408, [49406, 320, 1125, 539, 320, 2368, 49407]
"""The size of CLIP's own vocabulary, and what it makes of the probe."""


def load_clip_tokenizer(folder: Path, vocabulary: int, length: int) -> Any:
    """The tokenizer of a CLIP text encoder: vocab.json and merges.txt, or tokenizer.json.

    Args:
        vocabulary: how many tokens the text encoder knows.
        length: how many tokens it reads; a folder without tokenizer_config.json does not say.

    Raises:
        WeightsError: files are missing, or texts are read wrongly.
    """
    from transformers import CLIPTokenizer

    _demand_files(folder, (("vocab.json", "merges.txt"), ("tokenizer.json",)))
    tokenizer = _read(CLIPTokenizer, folder)
    tokenizer.model_max_length = min(tokenizer.model_max_length, length)
    check_tokenizer(tokenizer, vocabulary, folder, spaces=False)
    found = tokenizer(PROBE).input_ids
    if found[0] != tokenizer.bos_token_id or found[-1] != tokenizer.eos_token_id:
        raise WeightsError(f"{folder}: {PROBE!r} becomes {found}, without a token at its begin and end; fetch it again")
    if vocabulary == _OPENAI_WORDS and found != _OPENAI_PROBE:
        raise WeightsError(
            f"{folder}: {PROBE!r} becomes {found}, but CLIP was trained with {_OPENAI_PROBE}: vocab.json and "
            f"merges.txt belong to another model; fetch them again"
        )
    return tokenizer


def load_fast_tokenizer(folder: Path, vocabulary: int) -> Any:
    """The tokenizer that tokenizer.json describes, whatever class its configuration names.

    transformers 5 makes of a LLaMA 3 tokenizer one that splits texts in another way, without a word.

    Args:
        vocabulary: how many tokens the text encoder knows.

    Raises:
        WeightsError: tokenizer.json is missing, or texts are read in another way than it says.
    """
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    _demand_files(folder, (("tokenizer.json",),))
    tokenizer = _read(PreTrainedTokenizerFast, folder)
    plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
    if tokenizer(PROBE).input_ids != plain.encode(PROBE).ids:
        raise WeightsError(f"{folder}: {PROBE!r} is not read as tokenizer.json says; update transformers, or fetch it")
    check_tokenizer(tokenizer, vocabulary, folder)
    return tokenizer


def load_piece_tokenizer(folder: Path, vocabulary: int) -> Any:
    """The tokenizer of a T5: tokenizer.json, or spiece.model, which needs no package of its own to be read.

    Args:
        vocabulary: how many tokens the text encoder knows.

    Raises:
        WeightsError: files are missing, or texts are read wrongly.
    """
    if (folder / "tokenizer.json").is_file():
        return load_fast_tokenizer(folder, vocabulary)
    _demand_files(folder, (("spiece.model",), ("tokenizer.json",)))
    tokenizer = _of_pieces(folder / "spiece.model")
    check_tokenizer(tokenizer, vocabulary, folder)
    return tokenizer


def _of_pieces(path: Path) -> Any:
    """transformers' T5 tokenizer around the pieces of a file, which transformers itself reads by sentencepiece only."""
    from transformers import T5Tokenizer
    from transformers.utils import sentencepiece_model_pb2_new as messages

    model = messages.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except Exception as error:
        # protobuf's own class, which it names otherwise in each of its versions.
        raise WeightsError(f"{path} is not a sentencepiece model ({first_line(error)}); fetch it again") from error
    pieces = [(piece.piece, piece.score) for piece in model.pieces]
    if [piece for piece, _ in pieces[:3]] != ["<pad>", "</s>", "<unk>"]:
        raise WeightsError(
            f"{path} begins with {[piece for piece, _ in pieces[:3]]}; T5's begins with <pad>, </s> and <unk>: fetch "
            f"the whole checkpoint again"
        )
    pieces += [(f"<extra_id_{i}>", 0.0) for i in range(_T5_EXTRA - 1, -1, -1)]
    charsmap = model.normalizer_spec.precompiled_charsmap or None
    return T5Tokenizer(vocab=pieces, _spm_precompiled_charsmap=charsmap, extra_ids=_T5_EXTRA)


def vocabulary_of(folder: Path) -> int:
    """How many tokens the text encoder in a folder knows.

    Raises:
        WeightsError: its configuration is missing, or does not say.
    """
    found = read_json(folder / "config.json").get("vocab_size")
    if not isinstance(found, int):
        raise WeightsError(f"{folder / 'config.json'}: vocab_size is {found!r}, expected a number; fetch it again")
    return found


def reader_of(name: str, tokenizer: Any, most: int) -> TextReader:
    """How much of a text is read, by a tokenizer that adds the tokens at its begin and end itself."""

    def count(text: str) -> int:
        # Every text is counted whole: a warning that it is long would say the same twice.
        return len(tokenizer(text, verbose=False).input_ids)

    return TextReader(name, most, count)


def check_tokenizer(tokenizer: Any, vocabulary: int, where: Path, *, spaces: bool = True) -> None:
    """Refuses a tokenizer that loses a part of a text, or whose tokens the text encoder does not know.

    Args:
        spaces: whether the tokens hold the spaces of a text, as those of byte-level BPE and of sentencepiece do; CLIP's
            mark the ends of words alone.

    Raises:
        WeightsError: naming the folder and what became of a text.
    """
    text = "A woman in a red coat, dancing on the beach at night."
    numbers = tokenizer(text).input_ids
    if max(numbers) >= vocabulary:
        raise WeightsError(
            f"{where}: the tokenizer makes token {max(numbers)}, and the text encoder knows {vocabulary}; they are of "
            f"different models: fetch the whole checkpoint again"
        )
    # Spaces that decoding tidies away are spaces that the text encoder was given.
    back = tokenizer.decode(numbers, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    parts = _words if spaces else _letters
    if parts(back) != parts(text):
        raise WeightsError(
            f"{where}: the tokenizer reads {text!r} as {back!r}; its files are damaged or of another model: fetch the "
            f"whole checkpoint again"
        )


def _words(text: str) -> list[str]:
    return text.lower().split()


def _letters(text: str) -> str:
    return "".join(_words(text))


def _demand_files(folder: Path, sets: Sequence[Sequence[str]]) -> None:
    if not any(all((folder / name).is_file() for name in names) for names in sets):
        expected = ", or ".join(" and ".join(names) for names in sets)
        raise WeightsError(f"{folder} lacks its tokenizer; expected {expected}: fetch the whole checkpoint")


def _read(cls: Any, folder: Path) -> Any:
    try:
        return cls.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:
        # The tokenizers library raises plain exceptions.
        raise WeightsError(
            f"{folder} does not load as a tokenizer: {first_line(error)}; fetch the checkpoint again"
        ) from error
