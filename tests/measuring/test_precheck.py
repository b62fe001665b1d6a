"""What the look at the videos finds before anything is computed, and how odd files decode."""

import tracemalloc
from dataclasses import replace

import av
import numpy as np
import pytest
from example_videos import encode, turned
from PIL import Image

from pvbench.errors import VideoError, counted
from pvbench.features.published.settings import flow_bytes
from pvbench.measuring.imported import ImportedVideo, Problem
from pvbench.measuring.precheck import Needs, by_kind, precheck
from pvbench.video import content_digest, probe_video, read_video


def imported(path, method="m", text="a text of words"):
    return ImportedVideo(path, method, None, path.stem, text, 0, str(path))


def problems(*paths, needs=None, **options):
    found = precheck([imported(path, **options) for path in paths], [], needs or Needs())
    return [problem.what for problem in found.problems], found


def test_a_good_video_has_no_problem(tmp_path):
    whats, found = problems(encode(tmp_path / "a.mp4"))
    assert whats == []
    (facts,) = found.usable.values()
    assert (facts.frames, facts.height, facts.width, facts.fps, facts.steady) == (12, 32, 48, 8.0, True)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mkv", {"codec": "ffv1", "pixels": "bgr0"}),
        ("a.webm", {"codec": "libvpx-vp9"}),
        ("a.gif", {"codec": "gif", "pixels": "rgb8"}),
        ("odd.mkv", {"codec": "ffv1", "pixels": "bgr0", "width": 33, "height": 21}),
        ("grey.mkv", {"codec": "ffv1", "pixels": "gray"}),
        ("alpha.mkv", {"codec": "ffv1", "pixels": "bgra"}),
    ],
)
def test_formats_sizes_and_pixels_of_all_sorts_are_read(tmp_path, name, options):
    path = encode(tmp_path / name, **options)
    video, facts = read_video(path), probe_video(path)
    assert video.frames.shape == (facts.frames, facts.height, facts.width, 3)
    assert facts.frames == 12


def test_a_turned_video_is_seen_as_a_player_shows_it(tmp_path):
    path = turned(encode(tmp_path / "a.mp4"))
    facts, video = probe_video(path), read_video(path)
    assert (facts.height, facts.width) == (48, 32)
    assert video.frames.shape[1:3] == (48, 32)
    # The red square was at the top left and is at the top right now.
    rows, columns = np.nonzero(video.frames[0, :, :, 0] > 150)
    assert rows.mean() < 12
    assert columns.mean() > 20


def test_4k_is_read(tmp_path):
    path = encode(tmp_path / "a.mp4", frames=2, width=3840, height=2160)
    assert read_video(path).frames.shape == (2, 2160, 3840, 3)


def test_frames_that_raft_has_no_memory_for_are_told_before(tmp_path):
    path = encode(tmp_path / "a.mp4", frames=2, width=3840, height=2160)
    needs = Needs(flow=("dynamic_degree", "warping_error"), bytes_of=flow_bytes, memory=16 << 30, workers=2)
    assert problems(path, needs=needs)[0] == [
        "is too large for RAFT: 3840x2160 pixels take about 99 GiB of memory, and a worker has 16: scale it down, "
        "measure with --workers 1, or leave dynamic_degree and warping_error out with --metrics"
    ]
    assert problems(encode(tmp_path / "b.mp4", width=1920, height=1080), needs=needs)[0] == []


def test_one_worker_is_not_told_to_be_one(tmp_path):
    path = encode(tmp_path / "a.mp4", frames=2, width=3840, height=2160)
    (what,) = problems(path, needs=Needs(flow=("dynamic_degree",), bytes_of=flow_bytes, memory=16 << 30))[0]
    assert "--workers" not in what


def test_fewer_frames_than_are_seen_together_are_too_short(tmp_path):
    (what,) = problems(encode(tmp_path / "a.mp4", frames=1), needs=Needs(multiple=4))[0]
    assert what.startswith("is too short: 1 frame; the profile's video encoder sees 4 together")


def test_more_frames_than_the_memory_holds_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("pvbench.video.video.LARGEST_BYTES", 10_000)
    with pytest.raises(VideoError, match="cut it, or scale it down"):
        read_video(encode(tmp_path / "a.mp4"))


def test_a_variable_rate_is_noted(tmp_path):
    path = encode(tmp_path / "a.mkv", codec="ffv1", pixels="bgr0", times=[0, 1, 2, 3, 9, 10, 11, 12, 13, 14, 20, 21])
    whats, found = problems(path)
    assert whats == []
    assert "unequal times (a.mkv)" in found.notes[0]
    assert len(read_video(path).frames) == 12


def test_a_folder_of_frames_is_eight_a_second_in_the_order_of_names(tmp_path):
    for index, level in enumerate((200, 100, 50)):
        Image.fromarray(np.full((20, 30, 3), level, np.uint8)).save(tmp_path / f"{2 - index:04d}.png")
    video = read_video(tmp_path)
    assert video.fps == 8.0
    assert video.frames[:, 0, 0, 0].tolist() == [50, 100, 200]
    assert probe_video(tmp_path).frames == 3


def test_numbers_in_the_names_of_frames_count_by_their_value(tmp_path):
    for number in (1, 2, 10):
        Image.fromarray(np.full((20, 30, 3), number, np.uint8)).save(tmp_path / f"frame{number}.png")
    assert read_video(tmp_path).frames[:, 0, 0, 0].tolist() == [1, 2, 10]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_pictures_of_16_bits_are_scaled_to_8(tmp_path, suffix):
    levels = np.array([[0, 255, 256, 0x1234, 0x8000, 0xFFFF]], np.uint16).repeat(3, axis=0)
    Image.fromarray(levels).save(tmp_path / f"0.{suffix}")
    frames = read_video(tmp_path).frames
    assert frames[0, 0].tolist() == [[level] * 3 for level in (0, 0, 1, 0x12, 0x80, 0xFF)]


def test_pictures_of_32_bits_are_refused(tmp_path):
    Image.fromarray(np.zeros((8, 8), np.float32)).save(tmp_path / "0.tif")
    with pytest.raises(VideoError, match=r"0\.tif has colours of 32 bits"):
        probe_video(tmp_path)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_frames_are_turned_as_their_exif_says(tmp_path, suffix):
    image = np.zeros((16, 32, 3), np.uint8)
    image[:, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter to the right: what was left is on top
    Image.fromarray(image).save(tmp_path / f"0.{suffix}", exif=exif)
    assert (probe_video(tmp_path).height, probe_video(tmp_path).width) == (32, 16)
    frames = read_video(tmp_path).frames
    assert frames.shape == (1, 32, 16, 3)
    assert frames[0, 4].min() > 200
    assert frames[0, 28].max() < 50


@pytest.mark.parametrize("fault", ["size", "text", "empty"])
def test_a_fault_of_any_frame_shows_in_its_head(tmp_path, fault):
    for index in range(8):
        side = 24 if fault == "size" and index == 5 else 20
        Image.fromarray(np.zeros((side, 30, 3), np.uint8)).save(tmp_path / f"{index}.png")
    if fault != "size":
        (tmp_path / "5.png").write_bytes(b"no picture" if fault == "text" else b"")
    with pytest.raises(VideoError, match=r"5\.png (is corrupt or no picture|has 30x24 pixels)"):
        probe_video(tmp_path)


def test_a_video_is_in_memory_once_while_it_is_read(tmp_path):
    path = encode(tmp_path / "a.mkv", frames=40, width=640, height=480, codec="ffv1", pixels="bgr0")
    size = 40 * 640 * 480 * 3
    tracemalloc.start()
    try:
        read_video(path)
        assert tracemalloc.get_traced_memory()[1] < 1.3 * size
    finally:
        tracemalloc.stop()


def test_frames_of_different_sizes_are_no_video(tmp_path):
    for index, side in enumerate((20, 24)):
        Image.fromarray(np.zeros((side, 30, 3), np.uint8)).save(tmp_path / f"{index}.png")
    with pytest.raises(VideoError, match="a video's frames have one size"):
        read_video(tmp_path)


def test_broken_files_are_told_apart(tmp_path):
    (tmp_path / "text.mp4").write_text("this is not a video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    whole = encode(tmp_path / "whole.mp4", frames=60).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    whats, found = problems(*(tmp_path / f"{name}.mp4" for name in ("text", "empty", "cut", "missing", "whole")))
    assert [video.path.name for video in found.usable] == ["whole.mp4"]
    assert "corrupt or no video" in whats[0]
    assert "is empty (0 bytes)" in whats[1]
    assert "corrupt" in whats[2] or "cut short" in whats[2]
    assert "no video at" in whats[3]


def test_a_file_whose_head_promises_more_frames_is_cut_short(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", container_options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        rng = np.random.default_rng(0)
        for _ in range(40):
            frame = av.VideoFrame.from_ndarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), format="rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(VideoError, match=r"cut short: it holds \d+ of 40 frames|corrupt"):
        probe_video(path)


def test_too_short_and_of_another_size_are_told(tmp_path):
    one = encode(tmp_path / "one.mp4", frames=1)
    whats, _ = problems(one, needs=Needs(frames=10))
    assert "is too short: 1 frame;" in whats[0]
    whats, _ = problems(one, needs=Needs(size=(64, 64)))
    assert "has 48x32 pixels; the profile's evaluators see 64x64 alone" in whats[0]
    whats, _ = problems(encode(tmp_path / "nine.mp4", frames=9), needs=Needs(multiple=4))
    assert "sees multiples of 4" in whats[0]


def test_the_odd_one_of_a_method_is_a_problem_and_differing_methods_are_a_note(tmp_path):
    usual = [encode(tmp_path / f"{index}.mp4") for index in range(3)]
    odd = encode(tmp_path / "odd.mp4", rate=24)
    whats, found = problems(*usual, odd)
    assert len(whats) == 1
    assert "at 24 a second; most videos of 'm' have 12 frames of 48x32 pixels at 8 a second" in whats[0]
    assert len(found.usable) == 4
    found = precheck([imported(usual[0], "m"), imported(odd, "other")], [], Needs())
    assert found.problems == []
    assert "methods differ in the shape of their videos" in found.notes[0]


def test_what_is_too_short_or_too_large_for_a_metric_costs_that_metric(tmp_path):
    needs = Needs(
        frames=10,
        multiple=4,
        flow=("dynamic_degree",),
        bytes_of=flow_bytes,
        memory=1,
        groups=frozenset({"face", "flow", "video"}),
        counting=frozenset({"video"}),
        moving=frozenset({"flow"}),
    )
    short, long = encode(tmp_path / "short.mp4", frames=9), encode(tmp_path / "long.mp4", frames=16)
    whats, found = problems(short, long, needs=needs)
    assert [what.split(":")[0] for what in whats[:3]] == [
        "is too short",
        "is too large for RAFT",
        "is too large for RAFT",
    ]
    assert not any(problem.stops for problem in found.problems)
    assert found.without == {short: {"flow", "video"}, long: {"flow"}}
    whats, found = problems(short, needs=replace(needs, groups=frozenset({"video"}), memory=None))
    assert (found.usable, found.problems[0].stops) == ({}, True)


def test_problems_that_differ_in_names_and_numbers_are_of_one_kind():
    found = [Problem(f"v/{n}.mp4", f"has {counted(n, 'frame')}; most of 'm' have 8") for n in range(40)]
    found += [Problem(f"v/{n}.mkv", f"v/{n}.mkv stands for the same as v/0.mkv; fix it") for n in range(3)]
    assert [(problem.where, count) for problem, count in by_kind(found)] == [("v/0.mp4", 40), ("v/0.mkv", 3)]


def test_what_a_metric_needs_and_nobody_says_is_a_problem(tmp_path):
    path = encode(tmp_path / "a.mp4")
    whats, _ = problems(path, needs=Needs(identity=("face_sim",)))
    assert "nothing says who it shows" in whats[0]
    whats, _ = problems(path, needs=Needs(prompt=("clip_t",)), text="")
    assert "nothing says what was asked for, which clip_t needs" in whats[0]


def test_the_content_decides_the_digest_and_not_the_name(tmp_path):
    path = encode(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_bytes(path.read_bytes())
    assert content_digest(path) == content_digest(tmp_path / "b.mp4")
    assert content_digest(path) != content_digest(encode(tmp_path / "c.mp4", rate=9))
