"""What names of videos say, name by name: prompt, text and seed."""

import pytest

from pvbench.errors import PromptError
from pvbench.measuring.imported import Given, slug
from pvbench.measuring.names import is_text, name_says, seed_of, split_seed
from pvbench.prompt import Prompt

KNOWN = {prompt.id: prompt for prompt in (Prompt("walk_park", "a <V> walks"), Prompt("surf-2", "a <V> surfs"))}
NOBODY = Given()


@pytest.mark.parametrize(
    ("stem", "prompt", "seed"),
    [
        ("surf-s3", "surf", 3),
        ("surf-s3-0123456789ab", "surf", 3),
        ("surf_s3", "surf", 3),
        ("surf-3", "surf", 3),
        ("surf-3-0123456789ab", "surf", 3),
        ("surf_3", "surf", 3),
        ("surf_00003_", "surf", 3),
        ("surf (3)", "surf", 3),
        ("surf(3)", "surf", 3),
        ("surf-seed3", "surf", 3),
        ("surf SEED=3", "surf", 3),
        ("surf_seed_12_", "surf", 12),
        ("a-b-c-7", "a-b-c", 7),
        # What is not a number at the end is a part of the name.
        ("surf", "surf", 0),
        ("surf3", "surf3", 0),
        ("3", "3", 0),
        ("-3", "-3", 0),
        ("surf-3a", "surf-3a", 0),
        ("surf-0123456789abc", "surf-0123456789abc", 0),
        # Longer than any seed: a moment, or a digest.
        ("surf-1234567890123456789", "surf-1234567890123456789", 0),
        ("surf-123456789012345678", "surf", 123456789012345678),
    ],
)
def test_a_seed_is_the_number_at_the_end(stem, prompt, seed):
    assert split_seed(stem) == (prompt, seed)


@pytest.mark.parametrize(
    ("stem", "seed"),
    [("00003", 3), ("sample 3", 3), ("2024-05-17 take 4", 4), ("v2b", 2), ("take", 0), ("1" * 19, 0), ("a-7", 7)],
)
def test_where_the_prompt_is_given_any_number_is_the_seed(stem, seed):
    assert seed_of(stem) == seed
    assert name_says(stem, KNOWN, Given(prompt="walk_park")) == ("walk_park", "a <V> walks", seed)


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("walk_park", ("walk_park", "a <V> walks", 0)),
        ("walk_park-4", ("walk_park", "a <V> walks", 4)),
        # An id that ends as with a seed is the id.
        ("surf-2", ("surf-2", "a <V> surfs", 0)),
        ("surf-2-5", ("surf-2", "a <V> surfs", 5)),
        ("a woman laughs-3", (slug("a woman laughs"), "a woman laughs", 3)),
        # Words for files, and words that are nothing, say no prompt.
        ("video 3", ("video-3", "", 0)),
        ("out_0001", ("out_0001", "", 0)),
        ("Video (3)", ("video-3", "", 0)),
        ("step-500", ("step-500", "", 0)),
    ],
)
def test_a_name_is_an_id_or_a_text_or_nothing(stem, expected):
    prompt_id, text, seed = name_says(stem, KNOWN, NOBODY)
    assert (text, seed) == expected[1:]
    if text:
        assert prompt_id == expected[0]


@pytest.mark.parametrize(("words", "text"), [(True, "alley"), (False, "")])
def test_one_small_word_with_an_index_is_a_text_as_vbench_names_videos(words, text):
    assert name_says("alley-0", KNOWN, NOBODY, words=words)[1] == text


@pytest.mark.parametrize("stem", ["2025-01-01 10.33.21", "10 33 21", "20250101 103321"])
def test_a_moment_is_no_text(stem):
    assert name_says(stem, KNOWN, NOBODY)[1] == ""


@pytest.mark.parametrize("stem", ["walk_prak", "walk-park-3", "Walk_Park"])
def test_a_name_that_is_nearly_an_id_is_refused(stem):
    with pytest.raises(PromptError, match=r"begins with no prompt's id \(did you mean 'walk_park'\?\); fix it"):
        name_says(stem, KNOWN, NOBODY)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("a b", True), (" ab ", False), ("女の人が笑っている", True), ("ผู้หญิงยิ้ม", True), ("straße", False), ("", False)],
)
def test_a_text_has_several_words_or_a_script_without_spaces(name, sentence):
    assert is_text(name) is sentence


@pytest.mark.parametrize(
    ("stem", "sentence", "seed"),
    [
        ("0001_a woman talking", "a woman talking", 1),
        ("012-a woman talking", "a woman talking", 12),
        ("a woman talking copy", "a woman talking", 0),
        ("a woman talking - Copy (2)", "a woman talking", 0),
        ("a woman talking-3 copy", "a woman talking", 3),
        ("a man runs_20260101_123456", "a man runs", 0),
        ("a man runs_512x512_24fps_s42", "a man runs", 42),
        ("a man runs_512x512_24fps", "a man runs", 0),
        ("一个男人在海边_1280x720", "一个男人在海边", 0),
        # Numbers that are part of a sentence stay.
        ("a man on route 66", "a man on route 66", 0),
        ("3 men at a table", "3 men at a table", 0),
        ("a copy of a painting", "a copy of a painting", 0),
    ],
)
def test_what_tools_put_around_a_sentence_is_no_part_of_it(stem, sentence, seed):
    assert name_says(stem, {}, Given())[1:] == (sentence, seed)
