"""Rows that differ in what acts in sampling alone are sampled with the same adapters, each tuned once."""

from example_inputs import EXAMPLE_PROFILE, contents

from pvbench.runner.plan import Cell
from pvbench.video import read_video


class TestRowsThatDifferInSamplingAlone:
    BOTH = "example_stamp[lift=10],example_stamp,example_drift"

    def test_each_adapter_is_tuned_once(self, run):
        done = run(methods=self.BOTH)
        assert done.work == {"tune": 2, "generate": 18, "measure": 18}
        assert done.recorder.tallies == {"tune": (2, 0, 2), "generate": (18, 0, 18), "measure": (18, 0, 18)}
        assert done.recorder.left[-1] == 0
        assert done.result.complete
        folder = done.store.folder
        assert [path.name for path in (folder / "adapters").iterdir()] == ["example_stamp"]
        dark, light = (
            read_video(next(folder.glob(f"videos/{row}/ann/surf-*.mkv"))).frames.astype(int)
            for row in ("example_stamp", "example_stamp[[]lift=10]")
        )
        assert (light - dark == 10).all()

    def test_workers_in_processes_make_the_same_bytes(self, run, tmp_path):
        one = run(methods=self.BOTH, folder=tmp_path / "one")
        two = run(methods=self.BOTH, folder=tmp_path / "two", workers=2)
        assert two.recorder.tallies["tune"] == (2, 0, 2)
        assert contents(one.store.folder) == contents(two.store.folder)

    def test_another_row_finds_the_adapters_of_a_finished_one(self, run):
        run(methods="example_stamp")
        assert run(methods="example_stamp[lift=10]").work == {"generate": 6, "measure": 6}

    def test_a_row_alone_tunes_under_the_shared_name(self, run):
        alone = run(methods="example_stamp[lift=10]")
        assert alone.work == {"tune": 2, "generate": 6, "measure": 6}
        assert {entry["variant"] for entry in alone.log if entry["stage"] == "tune"} == {"example_stamp"}
        assert run(methods="example_stamp").work == {"generate": 6, "measure": 6}

    def test_a_failed_tuning_fails_the_cells_of_all_rows_and_is_tried_again(self, run, monkeypatch):
        monkeypatch.setenv("EXAMPLE_FAILS", "example_stamp:ann:step1")
        broken = run(methods=self.BOTH)
        assert broken.recorder.tallies["tune"] == (1, 1, 2)
        assert broken.recorder.tallies["generate"] == (12, 6, 18)
        assert len(broken.recorder.failures) == 1
        failed = {(cell.variant, cell.identity) for cell in broken.result.failures}
        assert failed == {("example_stamp", "ann"), ("example_stamp[lift=10]", "ann")}
        assert len(broken.result.failures) == 6
        monkeypatch.delenv("EXAMPLE_FAILS")
        mended = run(methods=self.BOTH)
        assert mended.work == {"tune": 1, "generate": 6, "measure": 6}
        assert mended.result.complete

    def test_a_profile_that_sets_it_samples_with_it(self, run, tmp_path):
        child = tmp_path / "child.toml"
        child.write_text(f'extends = "{EXAMPLE_PROFILE}"\n[methods.example_stamp]\nlift = 10\n')
        plain, lifted = run(methods="example_stamp"), run(methods="example_stamp", profile=str(child))
        assert lifted.work == {"generate": 6, "measure": 6}
        again = run(methods="example_stamp", profile=str(child), folder=tmp_path / "anew")
        assert again.work == {"tune": 2, "generate": 6, "measure": 6}
        path = plain.result.store.video_path
        dark, light = (
            read_video(
                path(one.result.plan.video_key(cell), cell.variant, cell.identity, cell.prompt, cell.seed)
            ).frames.astype(int)
            for one in (plain, lifted)
            for cell in [Cell("example_stamp", "ann", "surf", 0)]
        )
        assert (light - dark == 10).all()
        assert contents(again.store.folder / "videos").items() <= contents(lifted.store.folder / "videos").items()

    def test_rows_of_one_key_and_two_names_are_tuned_each(self, run):
        done = run(methods="example_stamp,example_stamp[steps=3]")
        assert done.work == {"tune": 4, "generate": 12, "measure": 12}
