"""Refined prompts: what files may hold, what methods are asked with, and that scores compare with the short prompt."""

import json
from dataclasses import replace

import pytest
from example_inputs import EXAMPLE_PROFILE, contents
from pvbench_example import ExampleLoader

from pvbench.backbone import TextReader
from pvbench.errors import PromptError, StoreError
from pvbench.profile import load_profile
from pvbench.prompt import load_prompts
from pvbench.runner.plan import Cell, Choice, make_plan, plan_from_summary
from pvbench.runner.refined import read_refined
from pvbench.runner.scoring import score_run

LONG = {
    "surf": "On a wide sunny beach a <V> surfs a tall wave, <his> arms spread",
    "read": "In thick snow a <V> reads <his> old book, and <he> turns a page",
    "wave": "In a red shirt a <V> waves on a bright stage",
}


def write(path, texts=LONG):
    if path.suffix.lower() == ".json":
        path.write_text(json.dumps(texts))
    elif path.suffix == ".csv":
        path.write_text("".join(f'{a},"{b}"\r\n' for a, b in [("prompt", "text"), *texts.items()]), "utf-8-sig")
    else:
        path.write_text("".join(f"{name} = {json.dumps(text)}\n" for name, text in texts.items()))
    return path


@pytest.fixture
def known():
    return load_prompts(load_profile(EXAMPLE_PROFILE).prompts.evaluation)


@pytest.mark.parametrize("name", ["long.toml", "long.json", "long.csv", "LONG.JSON"])
def test_three_kinds_of_files_say_the_same(tmp_path, known, name):
    found = read_refined(write(tmp_path / name), known, known.prompts[:3])
    assert {prompt_id: prompt.text for prompt_id, prompt in found.items()} == LONG
    assert [found[prompt.id].tags for prompt in known.prompts[:3]] == [prompt.tags for prompt in known.prompts[:3]]


def test_prompts_that_are_not_asked_for_may_be_there_or_not_and_line_breaks_are_spaces(tmp_path, known):
    path = write(tmp_path / "long.toml", {**LONG, "laugh": "A  <V>\n laughs"})
    assert read_refined(path, known, known.prompts)["laugh"].text == "A <V> laughs"
    assert list(read_refined(path, known, known.prompts[:1])) == ["surf"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.toml", 'surff = "a <V>"', "refines the prompt 'surff' (did you mean 'surf'?), which"),
        ("a.toml", 'surf = ""', "the text of 'surf' is ''; expected words"),
        ("a.toml", "surf = 3", "the text of 'surf' is 3; expected words"),
        ("a.toml", 'surf = "a man surfs"', "a.toml: prompt 'surf' has <V> 0 times"),
        ("a.toml", 'surf = "a <V> and a <V>"', "has <V> 2 times"),
        ("a.toml", 'surf = "a <V> and <class>"', "unknown placeholder <class>"),
        ("a.toml", 'read = "a <V>"', "has no text for 'surf'; add one for each prompt"),
        ("a.toml", "surf", "a.toml is no TOML"),
        ("a.json", "[]", "a.json holds no object"),
        ("a.json", "{", "a.json is no JSON"),
        ("a.json", '{"surf": "a <V>", "surf": "the <V>"}', "two texts for 'surf'; remove one"),
        ("a.json", '{"surf": {"text": "a <V>"}}', "the text of 'surf' is"),
        ("a.csv", "id,text\nsurf,a <V>\n", "expected the columns prompt and text; found ['id', 'text']"),
        ("a.csv", "", "expected the columns prompt and text; found none"),
        ("a.csv", "prompt,text\nsurf\n", "the text of 'surf' is None"),
        ("a.csv", "prompt,text\nsurf,a <V>\nsurf,the <V>\n", "two texts for 'surf'"),
        ("a.txt", "surf", "expected a file that ends in .toml, .json or .csv"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, known, name, content, message):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(PromptError) as raised:
        read_refined(path, known, known.prompts[:1])
    assert message in str(raised.value)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("name", ["none.toml", "none.json"])
def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path, known, name):
    with pytest.raises(PromptError, match=f"{name} cannot be read: No such file"):
        read_refined(tmp_path / name, known, ())
    (tmp_path / name).write_bytes(b"\xff\xfe\xff")
    with pytest.raises(PromptError, match=rf"{name} is no"):
        read_refined(tmp_path / name, known, ())


def test_methods_are_asked_with_the_long_text_and_scores_compare_with_the_short_one(tmp_path, choice):
    plain = make_plan(choice())
    refined = make_plan(choice(refined=str(write(tmp_path / "long.json"))))
    cell = Cell("example_drift", "bob", "read", 0)
    asked = refined.request(cell)
    assert asked.prompt.render("man") == "In thick snow a man reads his old book, and he turns a page"
    assert asked.noise_seed == plain.request(cell).noise_seed
    assert refined.text(cell) == plain.text(cell) == "a man reads his book in the snow"
    assert not {refined.video_key(c) for c in refined.cells} & {plain.video_key(c) for c in plain.cells}
    bob, stamp = plain.identity("bob"), plain.variant("example_stamp")
    assert refined.adapter_key(stamp, bob) == plain.adapter_key(stamp, bob)


def test_a_text_that_is_changed_moves_the_keys_of_its_prompt_alone(tmp_path, choice):
    before = make_plan(choice(refined=str(write(tmp_path / "long.json"))))
    after = make_plan(choice(refined=str(write(tmp_path / "other.csv", {**LONG, "surf": "A <V> surfs far out"}))))
    moved = {cell.prompt for cell in after.cells if after.video_key(cell) != before.video_key(cell)}
    assert moved == {"surf"}


def test_a_text_that_methods_tune_on_is_refused(tmp_path, choice):
    simulated = load_prompts(load_profile(EXAMPLE_PROFILE).prompts.simulated).prompts[0]
    path = write(tmp_path / "long.json", {**LONG, "surf": simulated.text})
    with pytest.raises(PromptError, match="what is scored must not be tuned on"):
        make_plan(choice(refined=str(path)))


def test_a_plan_is_made_again_from_its_summary_unless_a_text_has_changed(tmp_path, choice):
    path = write(tmp_path / "long.json")
    plan = make_plan(choice(refined=str(path)))
    assert plan.choice.command.endswith(f"--refined {path}")
    summary = json.loads(json.dumps(plan.summary()))
    assert plan_from_summary(summary, tmp_path / "plan.json").refined == plan.refined
    write(path, {**LONG, "surf": "A <V> surfs far out"})
    with pytest.raises(StoreError, match="refined prompts changed since that run"):
        plan_from_summary(summary, tmp_path / "plan.json")
    assert "refined" not in make_plan(choice()).summary()


def test_a_text_of_which_the_end_is_not_read_is_refused(tmp_path, choice, monkeypatch):
    path = str(write(tmp_path / "long.json"))
    words = TextReader("a text encoder of words", 14, lambda text: len(text.split()))
    monkeypatch.setattr(ExampleLoader, "text_reader", lambda profile: words)
    make_plan(choice(prompts="surf", refined=path))
    with pytest.raises(
        PromptError, match=r"the text of 'surf' has 14 tokens.* of ann, and a text encoder of words reads 13"
    ):
        monkeypatch.setattr(ExampleLoader, "text_reader", lambda profile: TextReader(words.name, 13, words.count))
        make_plan(choice(refined=path))


def test_the_miniature_reads_forty_tokens(tmp_path):
    prompts = load_prompts(load_profile("mini").prompts.evaluation).prompts
    short = {prompts[0].id: "a <V> smiles in a park"}
    chosen = Choice(methods="base", identities="1", prompts="1")
    make_plan(replace(chosen, refined=str(write(tmp_path / "short.json", short))))
    long = {prompts[0].id: f"a <V> smiles{' in a park' * 20}"}
    with pytest.raises(PromptError, match="the miniature text encoder reads 40; shorten it"):
        make_plan(replace(chosen, refined=str(write(tmp_path / "long.json", long))))


def test_a_run_says_so_and_makes_no_video_of_the_short_prompts_twice(run, tmp_path):
    run(metrics="clip_t")
    before = contents(tmp_path / "run")
    found = run(metrics="clip_t", refined=str(write(tmp_path / "long.json")))
    assert found.work == {"generate": 12, "measure": 12}
    assert score_run(found.result).data.remarks == (
        "Every row was asked with refined prompts, 3 texts of long.json (sha256 "
        f"{score_run(found.result).data.remarks[0].split('sha256 ')[1][:8]}); what is compared with a prompt is "
        "compared with the one in this report.",
    )
    videos = [name for name in before if name.startswith("videos/")]
    assert {name: contents(tmp_path / "run")[name] for name in videos} == {name: before[name] for name in videos}
    assert run(metrics="clip_t").work == {}
