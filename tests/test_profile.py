"""Profiles."""

from pathlib import Path

import pytest
from example_inputs import EXAMPLE_PROFILE

from pvbench.errors import ProfileError
from pvbench.profile import Cost, list_profiles, load_profile


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(Path(EXAMPLE_PROFILE).read_text())
    return file


def child(tmp_path, text):
    file = tmp_path / "child.toml"
    file.write_text(text)
    return load_profile(str(file))


def test_a_profile_is_read():
    profile = load_profile(EXAMPLE_PROFILE)
    assert profile.name == "example"
    assert (profile.sampling.frames, profile.sampling.height, profile.sampling.fps) == (6, 32, 8.0)
    assert profile.grid.seeds == (0,)
    assert profile.cost.tune_s == {"example_stamp": 0.1}
    assert profile.lineage == ("example",)
    assert Path(profile.prompts.evaluation).parent == Path(EXAMPLE_PROFILE).parent


def test_a_profile_holds_only_what_differs_from_the_one_it_extends(path, tmp_path):
    profile = child(tmp_path, 'extends = "mine.toml"\n[sampling]\nsteps = 9\n[methods.example_drift]\nspeed = 2\n')
    assert (profile.name, profile.lineage) == ("child", ("child", "mine"))
    assert (profile.sampling.steps, profile.sampling.frames) == (9, 6)
    assert profile.methods == {"example_drift": {"speed": 2}}


def test_a_backbone_of_another_kind_takes_no_line_of_the_one_before(path, tmp_path):
    other = child(tmp_path, 'extends = "mine.toml"\n[backbone]\nkind = "other"\nweights = "mine"\n')
    assert other.backbone == {"kind": "other", "weights": "mine"}
    alike = child(tmp_path, 'extends = "mine.toml"\n[backbone]\nmore = 1\n')
    assert alike.backbone == {**load_profile(str(path)).backbone, "more": 1}


def test_a_circle_of_profiles_is_told(tmp_path):
    (tmp_path / "one.toml").write_text('extends = "child.toml"\n')
    with pytest.raises(ProfileError, match="extends itself"):
        child(tmp_path, 'extends = "one.toml"\n')


def test_a_circle_through_two_folders_is_told_with_its_files(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "child.toml").write_text('extends = "../child.toml"\n')
    with pytest.raises(ProfileError, match=r"child\.toml -> .*below/child\.toml -> .*child\.toml; break the circle"):
        child(tmp_path, 'extends = "below/child.toml"\n')


@pytest.mark.parametrize("name", ["hunyuan", "wan", "cogvideox", "mini"])
def test_a_file_may_have_the_name_of_the_shipped_profile_that_it_extends(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path(f"{name}.toml").write_text(f'extends = "{name}"\n[sampling]\nsteps = 3\n')
    mine, shipped = load_profile(f"{name}.toml"), load_profile(name)
    assert mine.sampling.steps == 3 != shipped.sampling.steps
    assert mine.backbone == shipped.backbone
    assert mine.lineage == (name, *shipped.lineage)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "guidance = 1.0",
            "guidence = 1.0",
            r"\[sampling\] has the unknown field 'guidence' \(did you mean 'guidance'",
        ),
        ("tune_seed = 3", "tuneseed = 3", r"unknown field 'tuneseed' \(did you mean 'tune_seed'"),
        ("steps = 1", "steps = 1.5", r"\[sampling\]: steps is 1.5; expected an integer"),
        ("steps = 1", "steps = true", "expected an integer"),
        ("steps = 1", "steps = 0", "expected a positive number"),
        ("steps = 1", "steps = 1\nguidance_stop = 75", r"guidance_stop is 75.0; expected a share of the steps, 0 to 1"),
        ("steps = 1", "steps = 1\nmotion_guidance = 0", r"motion_guidance is 0.0; expected a positive number"),
        ("steps = 1", "steps = 1\nshift = 0", r"shift is 0.0; expected a positive number"),
        ("steps = 1", "steps = 1\nshift = -4.0", r"shift is -4.0; expected a positive number"),
        ("steps = 1", "steps = 1\nshift = inf", r"shift is inf; expected a positive number"),
        ("steps = 1", "steps = 1\nshift = 'high'", r"shift is 'high'; expected a number, or no line at all"),
        ("fps = 8", "", r"\[sampling\] lacks fps"),
        ("[sampling]", "[grids]", "unknown field 'grids'"),
        ("prompts = 3", "prompts = 3\nseeds = []", "expected a list of integers, at least one"),
        ("measure_s = 0.01", 'measure_s = "fast"', "expected a number"),
        ('kind = "example"', "weights = 1", r"\[backbone\]: expected a table with at least kind"),
        ('methods_default = ["example_drift", "example_stamp"]', "methods_default = []", "list of texts"),
        ("steps =", "steps", "is no TOML"),
    ],
)
def test_a_wrong_field_is_told_with_the_file(path, old, new, message):
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ProfileError, match=message) as caught:
        load_profile(str(path))
    assert str(path) in str(caught.value)


def test_an_unknown_profile_is_told():
    with pytest.raises(ProfileError, match="unknown profile 'mimi'"):
        load_profile("mimi")


@pytest.mark.parametrize(
    "text",
    [
        "[sampling]\nsteps = 2",
        "[backbone]\ngrain = 2",
        "[evaluators]\nrevision = 2",
        "[methods.example_drift]\nspeed = 2",
        "tune_seed = 4",
    ],
)
def test_the_digest_sees_what_moves_numbers(path, tmp_path, text):
    plain = load_profile(str(path)).digest
    lines = [line for line in text.splitlines() if not line.startswith("[")]
    head = [line for line in text.splitlines() if line.startswith("[")]
    assert child(tmp_path, "\n".join(['extends = "mine.toml"', *head, *lines])).digest != plain


def test_the_digest_passes_over_cost_grid_and_names(path, tmp_path):
    other = child(tmp_path, 'extends = "mine.toml"\nsummary = "x"\n[cost]\nmeasure_s = 9\n[grid]\nprompts = 1\n')
    assert other.digest == load_profile(str(path)).digest


def test_every_shipped_profile_loads():
    for name in list_profiles():
        assert load_profile(name).name == name


@pytest.mark.parametrize("name", ["animatediff", "hunyuan", "wan", "wan-vace", "cogvideox", "consisid"])
def test_a_published_backbone_is_not_planned_at_the_price_of_a_small_one(name):
    cost, small = load_profile(name).cost, Cost()
    assert cost.default_video_s > small.default_video_s
    assert cost.tune_s["personalvideo"] > cost.default_tune_s > small.default_tune_s


def test_the_small_tier_of_a_published_backbone_differs_in_the_grid_alone():
    small, whole = load_profile("animatediff-small"), load_profile("animatediff")
    assert (small.grid.identities, small.grid.prompts) == (4, 8)
    assert small.backbone == whole.backbone
    assert small.sampling == whole.sampling
    assert small.digest == whole.digest
