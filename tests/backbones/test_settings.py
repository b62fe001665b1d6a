"""Lines of a profile's [backbone], and sizes that a video transformer can sample."""

from dataclasses import replace

import pytest

from pvbench.backbones.settings import (
    checkpointing_line,
    choice_line,
    only_lines,
    switch_line,
    text_line,
    where,
    words_line,
)
from pvbench.backbones.video_size import WAN_GUIDANCE, check_sampling
from pvbench.errors import ProfileError
from pvbench.profile import load_profile

PLAIN = load_profile("wan")


def profile(**lines):
    return replace(PLAIN, backbone=lines)


def test_a_message_names_the_profile_the_table_and_the_line():
    assert where(PLAIN) == "profile 'wan' [backbone]"
    assert where(PLAIN, "base") == "profile 'wan' [backbone] base"


@pytest.mark.parametrize(
    ("read", "default"),
    [
        (lambda given: text_line(given, "line", "own"), "own"),
        (lambda given: switch_line(given, "line", True), True),
        (lambda given: words_line(given, "line"), []),
        (lambda given: choice_line(given, "line", ("a", "b"), "b"), "b"),
    ],
)
def test_a_line_that_is_not_there_is_the_default(read, default):
    assert read(profile(other=1)) == default


@pytest.mark.parametrize(
    ("read", "wrong", "message"),
    [
        (lambda given: text_line(given, "line"), 3, "line is 3; expected a text"),
        (lambda given: text_line(given, "line"), None, "line is None; expected a text"),
        (lambda given: switch_line(given, "line"), 1, "line is 1; expected true or false"),
        (lambda given: switch_line(given, "line"), "true", "line is 'true'; expected true or false"),
        (lambda given: words_line(given, "line"), "sks", "line is 'sks'; expected a list of words"),
        (lambda given: words_line(given, "line"), ["sks", 3], "expected a list of words"),
        (lambda given: words_line(given, "line"), ["sks", ""], "expected a list of words"),
        (lambda given: choice_line(given, "line", ("a", "b"), "b"), "c", "line is 'c'; expected a or b"),
        (lambda given: choice_line(given, "line", ("a", "b"), "b"), True, "line is True; expected a text"),
    ],
)
def test_a_line_of_another_kind_is_named(read, wrong, message):
    with pytest.raises(ProfileError) as raised:
        read(profile(line=wrong))
    assert str(raised.value).startswith("profile 'wan' [backbone]: ")
    assert message in str(raised.value)


@pytest.mark.parametrize("given", [True, False, "host"])
def test_checkpointing_is_a_switch_or_the_host(given):
    assert checkpointing_line(profile(checkpointing=given)) == given
    assert checkpointing_line(profile(), given) == given


@pytest.mark.parametrize("wrong", [1, 0, "gpu", "true", None, ["host"]])
def test_checkpointing_of_another_kind_is_named(wrong):
    with pytest.raises(ProfileError) as raised:
        checkpointing_line(profile(checkpointing=wrong))
    expected = f"profile 'wan' [backbone]: checkpointing is {wrong!r}; expected true, false or \"host\""
    assert str(raised.value) == expected


def test_a_line_that_nobody_reads_is_named_with_the_nearest():
    only_lines(profile(kind="wan", base="x"), ("kind", "base"))
    with pytest.raises(ProfileError, match=r"unknown line 'bsae' \(did you mean 'base'\?\); known: kind, base"):
        only_lines(profile(bsae="x"), ("kind", "base"))


SAMPLING = replace(PLAIN.sampling, frames=17, height=32, width=48, guidance_stop=1.0, motion_guidance=1.0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"frames": 16}, "frames is 16 and the size 48x32; Wan makes videos of 4 n + 1 frames"),
        ({"frames": 18}, "frames is 18"),
        ({"height": 40}, "the size 48x40; Wan makes videos of 4 n + 1 frames whose sides are multiples of 16"),
        ({"width": 8}, "the size 8x32"),
        ({"guidance_stop": 0.5}, "guidance_stop is 0.5 and motion_guidance 1.0; the guidance of Wan is one number"),
        ({"motion_guidance": 2.0}, "guidance_stop is 1.0 and motion_guidance 2.0"),
    ],
)
def test_what_a_transformer_cannot_sample_is_refused(changed, message):
    with pytest.raises(ProfileError) as raised:
        check_sampling(replace(SAMPLING, **changed), "Wan", 16, 4, WAN_GUIDANCE)
    assert message in str(raised.value)


@pytest.mark.parametrize("frames", [1, 5, 17, 81])
def test_what_it_can_sample_is_not(frames):
    check_sampling(replace(SAMPLING, frames=frames), "Wan", 16, 4, WAN_GUIDANCE)
