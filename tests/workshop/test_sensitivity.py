"""Each mini metric moves the way it must when a rendered video is spoilt in a known way."""

import pytest

from workshop.sensitivity import CHANGES, sensitivity, table


@pytest.fixture(scope="module")
def effects():
    return sensitivity(people=2, prompts=6)


@pytest.mark.parametrize(
    ("change", "column", "way"),
    [(change.name, column, way) for change in CHANGES for column, way in change.expected.items()],
)
def test_what_a_change_must_move_moves(effects, change, column, way):
    effect = next(effect for effect in effects if (effect.change, effect.column) == (change, column))
    print(effect)
    assert (effect.after - effect.before) * way > 0


def test_what_is_the_same_stays(effects):
    still = {(effect.change, effect.column): effect for effect in effects}
    assert still["shuffled", "clip_t"].after == pytest.approx(still["shuffled", "clip_t"].before, abs=1e-6)
    assert still["another person", "temporal_consistency"].after > 0.9
    assert "| blurred |" in table(effects)
