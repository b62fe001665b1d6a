"""The word that stands for the person: its settings, textual inversion, its file, and words that do not fit."""

import dataclasses

import pytest
import torch

from pvbench.errors import MethodError, SettingError, StoreError
from pvbench.identity import load_identities
from pvbench.keyword import Keyword, KeywordSettings, check_tokens, invert, make_keyword, photos_and_captions
from pvbench.method import Adapter, load_adapter, save_adapter, tokens_path
from pvbench.prompt import Prompt, PromptSet, load_prompts
from pvbench.shelf import shelf

SIMULATED = load_prompts("mini_simulated")


def silent(step, losses):
    """Progress that nobody watches."""


def test_without_a_keyword_prompts_name_the_class_noun_alone(short_backbone, ada):
    keyword = make_keyword(KeywordSettings(), short_backbone, ada, SIMULATED, 0, silent)
    assert keyword.render(Prompt("p", "a <V> nods"), "woman") == "a woman nods"
    assert not keyword.tokens


def test_a_rare_keyword_stands_before_the_class_noun(short_backbone, ada):
    keyword = make_keyword(KeywordSettings(token="rare", keyword="ohwx"), short_backbone, ada, SIMULATED, 0, silent)
    assert keyword.render(Prompt("p", "a <V> nods"), "woman") == "a ohwx woman nods"


def test_an_inverted_keyword_is_learned_on_the_photos(short_backbone, ada):
    losses = []
    settings = KeywordSettings(token="inverted", token_words=3, token_steps=40, token_rate=3e-2)
    keyword = make_keyword(
        settings, short_backbone, ada, SIMULATED, 0, lambda step, found: losses.append(found["inversion"])
    )
    assert keyword.words == "<ada> <ada>_1 <ada>_2"
    assert keyword.tokens["<ada>"].shape == (3, 128)
    assert len(losses) == 40
    assert sum(losses[-10:]) < sum(losses[:10])


def test_inversion_is_the_same_from_the_same_seed_and_leaves_the_models_alone(short_backbone, ada):
    settings = KeywordSettings(token="inverted", token_steps=2)
    before = {name: value.clone() for name, value in short_backbone.image_unet.state_dict().items()}
    (first, _), (again, _) = (invert(settings, short_backbone, ada, "<ada>", 0, silent) for _ in range(2))
    other, _ = invert(settings, short_backbone, ada, "<ada>", 1, silent)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert all(torch.equal(before[name], value) for name, value in short_backbone.image_unet.state_dict().items())


class TestWordsOnTheShelf:
    """Methods of one run that ask for the same words learn them once."""

    settings = KeywordSettings(token="inverted", token_words=2, token_steps=3)

    def made(self, backbone, identity, settings=settings, seed=0):
        told = []
        keyword = make_keyword(settings, backbone, identity, SIMULATED, seed, lambda *step: told.append(step))
        return keyword, told

    def test_the_second_method_has_the_same_words_and_losses_and_learns_nothing(
        self, short_backbone, ada, tmp_path, monkeypatch
    ):
        plain, told = self.made(short_backbone, ada)
        with shelf(tmp_path):
            first, told_first = self.made(short_backbone, ada)
            monkeypatch.setattr("pvbench.keyword.invert", None)
            second, told_second = self.made(short_backbone, ada)
        assert plain.words == first.words == second.words
        assert torch.equal(plain.tokens["<ada>"], first.tokens["<ada>"])
        assert torch.equal(first.tokens["<ada>"], second.tokens["<ada>"])
        assert told == told_first == told_second

    def test_whatever_the_words_depend_on_makes_others(self, short_backbone, ada, tmp_path):
        ben = load_identities(["ben"])[0]
        with shelf(tmp_path):
            self.made(short_backbone, ada)
            self.made(short_backbone, ben)
            self.made(short_backbone, ada, seed=1)
            for change in ({"token_words": 3}, {"token_steps": 2}, {"token_rate": 1e-2}, {"references": 3}):
                self.made(short_backbone, ada, dataclasses.replace(self.settings, **change))
        assert len(list(tmp_path.iterdir())) == 7

    def test_all_photos_named_by_their_number_are_the_same_words(self, short_backbone, ada, tmp_path):
        with shelf(tmp_path):
            self.made(short_backbone, ada)
            self.made(short_backbone, ada, dataclasses.replace(self.settings, references=len(ada.images)))
        assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("word", ["red", "woman", "beach", "unheardof"])
def test_a_word_of_the_captions_is_no_keyword(short_backbone, ada, word):
    with pytest.raises(SettingError, match=f"keyword is '{word}'.*expected one of sks, ohwx, zwx"):
        make_keyword(KeywordSettings(token="rare", keyword=word), short_backbone, ada, SIMULATED, 0, silent)


def test_where_rare_words_are_not_known_the_texts_at_hand_are_looked_through(short_backbone, ada, monkeypatch):
    monkeypatch.setattr(short_backbone, "rare_words", ())
    prompts = PromptSet("own", "simulated", (Prompt("p1", "a <V> dances, slowly"),))
    for word, where in (("slowly", "prompt 'p1'"), ("office", "the caption of photo 1"), ("woman", "prompt 'p1'")):
        with pytest.raises(SettingError, match=f"'{word}', a word of {where}"):
            make_keyword(KeywordSettings(token="rare", keyword=word), short_backbone, ada, prompts, 0, silent)
    assert make_keyword(KeywordSettings(token="rare", keyword="xyzzy"), short_backbone, ada, prompts, 0, silent).words


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"token": "rare", "keyword": "two words"}, "keyword is 'two words'; expected one word"),
        ({"token": "rare", "keyword": ""}, "keyword is ''; expected one word"),
        ({"token_words": 0}, "token_words must be positive"),
        ({"token_words": 9}, "token_words is 9; at most 8, or prompts would be cut off"),
        ({"token_rate": 0.0}, "token_rate must be positive"),
        ({"references": -1}, "references cannot be negative"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        KeywordSettings(**settings)


def test_the_first_photos_are_taken_with_their_captions(ada):
    photos, captions = photos_and_captions(ada, 3)
    assert len(photos) == len(captions) == 3
    assert captions[0].render("woman", "sks") == "a sks woman in a blue T-shirt in an office"
    assert len(photos_and_captions(ada, 0)[0]) == 5
    with pytest.raises(SettingError, match="references is 6; identity 'ada' has 5 photos"):
        photos_and_captions(ada, 6)


class TestFiles:
    adapter = Adapter(
        {"unet.a.lora_A.weight": torch.ones(2, 3)}, (0.75, 1.0), {"x": 1.0}, {"<ada>": torch.arange(6.0).reshape(2, 3)},
        "digest",
    )  # fmt: skip

    def test_words_lie_beside_the_adapter_and_come_back(self, tmp_path):
        save_adapter(tmp_path / "ada.safetensors", self.adapter)
        assert (tmp_path / "ada.tokens.safetensors").is_file()
        found = load_adapter(tmp_path / "ada.safetensors")
        assert torch.equal(found.tokens["<ada>"], self.adapter.tokens["<ada>"])
        assert found.text_encoder == "digest"

    def test_an_adapter_without_words_has_no_such_file(self, tmp_path):
        save_adapter(tmp_path / "a.safetensors", dataclasses.replace(self.adapter, tokens={}))
        assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
        assert not load_adapter(tmp_path / "a.safetensors").tokens

    def test_missing_words_are_told(self, tmp_path):
        save_adapter(tmp_path / "ada.safetensors", self.adapter)
        tokens_path(tmp_path / "ada.safetensors").unlink()
        with pytest.raises(StoreError, match=r"ada\.tokens\.safetensors cannot be read"):
            load_adapter(tmp_path / "ada.safetensors")

    def test_words_of_another_tuning_are_told(self, tmp_path):
        save_adapter(tmp_path / "ada.safetensors", self.adapter)
        other = dataclasses.replace(self.adapter, tokens={"<ada>": torch.zeros(2, 3)})
        save_adapter(tmp_path / "ben.safetensors", other)
        tokens_path(tmp_path / "ben.safetensors").replace(tokens_path(tmp_path / "ada.safetensors"))
        with pytest.raises(StoreError, match="does not hold the words that adapter"):
            load_adapter(tmp_path / "ada.safetensors")


class TestAnotherTextEncoder:
    def test_words_of_another_width_are_refused(self, short_backbone):
        with pytest.raises(MethodError, match=r"shape \(3, 768\).*words 128 wide.*another text encoder"):
            check_tokens({"<ada>": torch.zeros(3, 768)}, "", short_backbone, "ada.tokens.safetensors")

    def test_words_of_other_weights_are_refused(self, short_backbone):
        adapter = Adapter({}, tokens={"<ada>": torch.zeros(3, 128)}, text_encoder="0123456789abcdef")
        with pytest.raises(MethodError, match="learned with the text encoder 0123456789abcdef; this backbone's is"):
            Keyword.of(adapter, KeywordSettings(token="inverted"), short_backbone)

    def test_missing_words_are_told(self, short_backbone):
        with pytest.raises(MethodError, match="the adapter holds no learned words"):
            Keyword.of(Adapter({}), KeywordSettings(token="inverted"), short_backbone)

    def test_words_of_this_one_are_taken(self, short_backbone):
        adapter = Adapter({}, tokens={"<ada>": torch.zeros(3, 128)}, text_encoder=short_backbone.text_signature)
        assert Keyword.of(adapter, KeywordSettings(token="inverted"), short_backbone).words.startswith("<ada> ")
