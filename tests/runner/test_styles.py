"""Rows in a style: keys, adapters that they share, and runs in which styles come and go."""

from pathlib import Path

import pytest
import torch
from example_inputs import EXAMPLE_PROFILE, contents
from safetensors.torch import save_file

from pvbench.backbone import Backbone
from pvbench.errors import MethodError, ProfileError, WeightsError
from pvbench.method import Adapter
from pvbench.runner import jobs
from pvbench.runner.jobs import RunSetup, Workbench
from pvbench.runner.plan import Cell, Choice, make_plan, plan_from_summary
from pvbench.runner.scoring import score_run
from pvbench.variant import Variant, parse_variant
from pvbench.video import read_video

LORA = {"unet.a.lora_A.weight": torch.ones(2, 2), "unet.a.lora_B.weight": torch.ones(2, 2)}


@pytest.fixture
def lora(tmp_path):
    save_file(LORA, tmp_path / "ink.safetensors")
    return tmp_path / "ink.safetensors"


@pytest.fixture
def inked(tmp_path, lora):
    """A profile on top of another, with a style of one LoRA."""

    def of(parent=EXAMPLE_PROFILE, more=""):
        path = tmp_path / f"inked-{Path(parent).stem}.toml"
        path.write_text(
            f'extends = "{parent}"\n[styles.ink]\nlora = "{lora}"\nwords = "in ink"\ndomain = "sketch"\n{more}'
        )
        return str(path)

    return of


def test_a_style_is_no_setting_and_part_of_the_label():
    found = parse_variant("personalvideo[style=cartoon,rank=8]")
    assert found == Variant("personalvideo", {"rank": "8"}, "personalvideo[rank=8,style=cartoon]", "cartoon")
    assert found.tuned == parse_variant("personalvideo[rank=8]")


class TestPlans:
    @pytest.fixture
    def plan(self, inked):
        rows = "base,base[style=ink],personalvideo,personalvideo[style=ink],oracle,oracle[style=ink]"
        return make_plan(Choice(inked("mini"), methods=rows, identities="ada", prompts="1"))

    def test_adapters_are_those_without_a_style(self, plan):
        ada = plan.identities[0]
        assert plan.tuning_rows == {"personalvideo": "personalvideo"}
        plain, styled = (plan.variant(f"personalvideo{inside}") for inside in ("", "[style=ink]"))
        assert plan.adapter_key(plain, ada) == plan.adapter_key(styled, ada)
        assert styled.tuned.style is None
        assert len({plan.video_key(cell) for cell in plan.cells}) == len(plan.cells)

    def test_keys_of_rows_without_one_are_those_of_a_profile_without_styles(self, plan):
        other = make_plan(Choice("mini", methods="base,personalvideo,oracle", identities="ada", prompts="1"))
        for cell in other.cells:
            assert plan.video_key(cell) == other.video_key(cell)

    def test_prompts_end_in_its_words_and_noise_and_texts_are_the_same(self, plan):
        plain, styled = (Cell(row, "ada", plan.prompts[0].id, 0) for row in ("base", "base[style=ink]"))
        assert plan.request(styled).prompt.text == f"{plan.request(plain).prompt.text} in ink"
        assert plan.request(styled).noise_seed == plan.request(plain).noise_seed
        assert plan.text(styled) == plan.text(plain)

    @pytest.mark.parametrize("change", ['words = "inked"', "scale = 0.5"])
    def test_a_changed_style_makes_new_videos_from_the_same_adapters(self, plan, inked, change):
        path = Path(plan.choice.profile)
        path.write_text(path.read_text().replace('words = "in ink"', change))
        other = make_plan(plan.choice)
        ada = plan.identities[0]
        row = "personalvideo[style=ink]"
        assert other.adapter_key(other.variant(row), ada) == plan.adapter_key(plan.variant(row), ada)
        assert other.video_key(plan.cells[3]) != plan.video_key(plan.cells[3])
        # The truth rests on the domain alone.
        assert other.video_key(plan.cells[5]) == plan.video_key(plan.cells[5])

    def test_another_file_at_the_same_path_is_another_style(self, plan, lora):
        save_file({name: 2 * value for name, value in LORA.items()}, lora)
        assert make_plan(plan.choice).video_key(plan.cells[1]) != plan.video_key(plan.cells[1])

    def test_a_plan_is_made_again_from_its_summary(self, plan, tmp_path):
        assert plan_from_summary(plan.summary(), tmp_path).cells == plan.cells

    @pytest.mark.parametrize(
        ("row", "error", "message"),
        [
            ("base[style=inc]", ProfileError, r"no style 'inc' \(did you mean 'ink'\?\)"),
            ("still_photo[style=ink]", MethodError, "samples no backbone"),
            ("paste_face[style=ink]", MethodError, "pastes a photo"),
            ("oracle[style=plain]", MethodError, "its domain is ''"),
            ("base[style=gone]", WeightsError, r"\[styles.gone\]: lora: there is no"),
        ],
    )
    def test_what_cannot_be_is_refused_before_anything_is_loaded(self, inked, lora, row, error, message):
        more = f'[styles.plain]\nlora = "{lora}"\n[styles.gone]\nlora = "/nowhere/a.safetensors"\n'
        with pytest.raises(error, match=message):
            make_plan(Choice(inked("mini", more), methods=row, identities="ada", prompts="1"))

    def test_a_backbone_that_takes_no_lora_is_told(self, inked, choice, monkeypatch):
        from pvbench_example import ExampleLoader

        monkeypatch.setattr(ExampleLoader, "offers", frozenset({"example_noise"}))
        with pytest.raises(MethodError, match=r"'example_drift\[style=ink\]' asks for styles, which the profile"):
            make_plan(choice(profile=inked(), methods="example_drift[style=ink]"))


class TestRuns:
    ROWS = "example_stamp[style=ink],base,example_stamp,base[style=ink]"

    def test_styles_come_and_go_within_a_worker(self, run, inked, tmp_path):
        done = run(profile=inked(), methods=self.ROWS)
        assert done.work == {"tune": 2, "generate": 24, "measure": 24}
        plain = run(profile=inked(), methods="base,example_stamp", folder=tmp_path / "plain")
        assert contents(plain.store.folder / "videos").items() <= contents(done.store.folder / "videos").items()

        def frames(row):
            cell = Cell(row, "ann", "surf", 0)
            path = done.store.video_path(done.result.plan.video_key(cell), row, "ann", "surf", 0)
            return read_video(path).frames.astype(int)

        # The example's base is lighter by the length of the text, and its style by 20.
        assert (frames("base[style=ink]") - frames("base") == 20 + len(" in ink")).all()
        assert (frames("example_stamp[style=ink]") - frames("example_stamp") == 10).all()

    def test_rows_in_a_style_are_shown_apart(self, run, inked):
        data = score_run(run(profile=inked(), methods=self.ROWS).result).data
        roles = {variant.label: variant.role for variant in data.variants}
        assert roles == {
            "base": "floor",
            "base[style=ink]": "control",
            "example_stamp": "method",
            "example_stamp[style=ink]": "control",
        }
        assert data.remarks == (
            "Drawn in a style, and compared with no row without one: `example_stamp[style=ink]`, `base[style=ink]`.",
        )


class TestCheckpoints:
    """A style can be another base model, of which a worker holds one at a time."""

    @pytest.fixture
    def plan(self, inked, tmp_path):
        import shutil

        from pvbench.weights import weights_folder

        shutil.copytree(weights_folder("mini"), tmp_path / "other")
        more = f'[styles.other]\ncheckpoint = "{tmp_path / "other"}"\n'
        rows = "base,base[style=other],personalvideo[style=other]"
        return make_plan(Choice(inked("mini", more), methods=rows, identities="ada", prompts="1"))

    def test_its_backbone_is_in_the_video_key_and_not_in_the_adapters(self, plan, tmp_path):
        import json

        before = [plan.video_key(cell) for cell in plan.cells]
        manifest = tmp_path / "other" / "manifest.json"
        content = json.loads(manifest.read_text())
        changed = {name: "0" * 64 if "text_encoder" in name else value for name, value in content.items()}
        manifest.write_text(json.dumps(changed))
        other, ada = make_plan(plan.choice), plan.identities[0]
        row = "personalvideo[style=other]"
        assert other.adapter_key(other.variant(row), ada) == plan.adapter_key(plan.variant(row), ada)
        found = [other.video_key(cell) for cell in plan.cells]
        assert [one == another for one, another in zip(found, before, strict=True)] == [True, False, False]

    def test_a_worker_holds_one_backbone_at_a_time(self, plan, monkeypatch, tmp_path):
        loaded = []

        class Fake(Backbone):
            def sample(self, text, noise_seed):
                raise NotImplementedError

            def wear(self, style):
                loaded.append(style and style.name)

        monkeypatch.setattr(
            jobs, "load_backbone", lambda profile, device: loaded.append(profile.backbone["weights"]) or Fake()
        )
        bench = Workbench(RunSetup(plan.profile, "cpu", tmp_path / "log"))
        base, styled, _ = plan.variants
        first = bench.method(base)
        assert bench.method(base) is first
        swapped = bench.method(styled)
        assert swapped.backbone is not first.backbone
        assert swapped.style.name == "other"
        assert bench.method(base) is not first
        assert loaded == ["mini", None, None, str(tmp_path / "other"), "other", "mini", None]

    def test_words_that_were_learned_with_another_text_encoder_are_taken(self, plan, monkeypatch, tmp_path):
        given = []

        class Shows:
            def generate(self, identity, adapter, requests):
                given.append(adapter.text_encoder)
                return iter(())

        bench = Workbench(RunSetup(plan.profile, "cpu", tmp_path / "log"))
        monkeypatch.setattr(bench, "method", lambda variant: Shows())
        monkeypatch.setattr(bench, "adapter", lambda path: Adapter({}, text_encoder="of the profile"))
        for label, expected in (("personalvideo[style=other]", ""), ("base", "of the profile")):
            cell = Cell(label, "ada", plan.prompts[0].id, 0)
            wanted = jobs.WantedVideo(cell, plan.request(cell), "key", tmp_path / "a.mkv")
            job = jobs.GenerateJob(plan.variant(label), plan.identities[0], tmp_path / "a", (wanted,))
            job.run(bench, lambda made: None)
            assert given.pop() == expected


def test_the_miniature_backbone_wears_the_shipped_style_in_all_steps(short_profile, short_backbone):
    import numpy as np

    from pvbench.variant import style_of

    style = style_of(parse_variant("base[style=cartoon]"), short_profile)
    text, before = "a man in a red jacket on a beach", short_backbone.sample("a man in a red jacket on a beach", 3)
    try:
        short_backbone.wear(style)
        worn = short_backbone.sample(text, 3)
        short_backbone.reset()
        assert np.array_equal(short_backbone.sample(text, 3).frames, worn.frames)
        # Outside of the span of an identity's adapter, too: the span has nothing of the style in it.
        assert np.array_equal(short_backbone.sample(text, 3, (0.75, 1.0)).frames, worn.frames)
    finally:
        short_backbone.wear(None)
    assert np.abs(worn.frames.astype(int) - before.frames).mean() > 10
    assert np.array_equal(short_backbone.sample(text, 3).frames, before.frames)
