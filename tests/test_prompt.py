"""Prompts and sets of them."""

import pytest

from pvbench.errors import PromptError
from pvbench.prompt import Prompt, PromptSet, check_disjoint, list_prompt_sets, load_prompts

GOOD = """
role = "evaluation"
[[prompt]]
id = "surf"
text = "a <V> surfs, <his> hair wet"
tags = { action = "surf" }
[[prompt]]
id = "read"
text = "a <V> reads"
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(GOOD)
    return file


@pytest.mark.parametrize(
    ("noun", "token", "expected"),
    [
        ("man", "", "He waves: a man in his coat sees him himself"),
        ("woman", "", "She waves: a woman in her coat sees her herself"),
        ("woman", "sks", "She waves: a sks woman in her coat sees her herself"),
    ],
)
def test_placeholders_follow_the_class_noun_and_the_token(noun, token, expected):
    assert Prompt("p", "<He> waves: a <V> in <his> coat sees <him> <himself>").render(noun, token) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a man surfs", "has <V> 0 times"),
        ("a <V> and a <V>", "has <V> 2 times"),
        ("a <V> and <her> dog", "unknown placeholder <her>"),
        ("a <v> surfs", "has <V> 0 times"),
    ],
)
def test_a_prompt_names_the_person_once(text, message):
    with pytest.raises(PromptError, match=message):
        Prompt("p", text)


def test_an_id_is_fit_for_a_file_name():
    with pytest.raises(PromptError, match="letters, digits"):
        Prompt("a/b", "a <V>")


def test_a_file_is_read(path):
    prompts = load_prompts(str(path))
    assert (prompts.name, prompts.role) == ("mine", "evaluation")
    assert [prompt.id for prompt in prompts.prompts] == ["surf", "read"]
    assert prompts.prompts[0].tags == {"action": "surf"}
    assert prompts.prompts[1].tags == {}


def test_the_digest_is_of_the_content_and_not_of_the_name(path, tmp_path):
    (tmp_path / "other.toml").write_text("# a comment\n" + GOOD)
    same = load_prompts(str(tmp_path / "other.toml")).digest
    (tmp_path / "third.toml").write_text(GOOD.replace("reads", "sleeps"))
    assert load_prompts(str(path)).digest == same
    assert load_prompts(str(tmp_path / "third.toml")).digest != same


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('role = "evaluation"', 'role = "eval"', "role is 'eval'; expected evaluation, simulated or development"),
        ('role = "evaluation"', 'roll = "evaluation"', r"unknown field 'roll' \(did you mean 'role'"),
        ('id = "read"', 'id = "surf"', "two prompts have the id 'surf'"),
        ('text = "a <V> reads"', 'text = "A  <V> surfs, <his> hair wet"', "have the same text"),
        ('text = "a <V> reads"', "", "prompt 2: text is None"),
        ('text = "a <V> reads"', 'text = "a man reads"', "prompt 'read' has <V> 0 times"),
        ('text = "a <V> reads"', 'txt = "a <V> reads"', r"prompt 2 has the unknown field 'txt' \(did you mean 'text'"),
        ('tags = { action = "surf" }', "tags = { action = 3 }", "expected a table of texts"),
        ("id =", "id", "is no TOML"),
    ],
)
def test_a_wrong_file_is_told_with_prompt_and_field(path, old, new, message):
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(PromptError, match=message) as caught:
        load_prompts(str(path))
    assert str(path) in str(caught.value)


def test_a_file_without_prompts_is_told(path):
    path.write_text('role = "simulated"\n')
    with pytest.raises(PromptError, match="holds no prompts"):
        load_prompts(str(path))


def test_an_unknown_set_is_told():
    with pytest.raises(PromptError, match="no prompts 'nothing'"):
        load_prompts("nothing")


def test_every_shipped_set_loads():
    for name in list_prompt_sets():
        assert load_prompts(name).prompts


def test_what_is_scored_is_not_tuned_on():
    evaluation = PromptSet("e", "evaluation", (Prompt("one", "a <V> reads a book"),))
    simulated = PromptSet("s", "simulated", (Prompt("two", "a <V> sings"),))
    check_disjoint(evaluation, simulated)
    same = PromptSet("s", "simulated", (Prompt("two", "A <V>  reads a book"),))
    with pytest.raises(PromptError, match="'e' prompt 'one' is also 's' prompt 'two'"):
        check_disjoint(evaluation, same)


def test_a_set_in_the_wrong_role_is_told():
    evaluation = PromptSet("e", "evaluation", (Prompt("one", "a <V> reads a book"),))
    with pytest.raises(PromptError, match="'e' has the role 'evaluation', used as simulated"):
        check_disjoint(evaluation, evaluation)


@pytest.mark.parametrize(
    ("text", "description", "expected"),
    [
        ("a <V> nods", "A young woman with long hair.", "a young woman with long hair nods"),
        ("a <V> nods", "An old woman", "an old woman nods"),
        ("A <V> shakes <his> head", "an old woman", "An old woman shakes her head"),
        ("in snow stands a <V>", "tall woman", "in snow stands a tall woman"),
        ("the <V> nods", "The woman.", "the woman nods"),
    ],
)
def test_a_description_takes_the_place_of_the_person(text, description, expected):
    assert Prompt("p1", text).described("woman", description) == expected
