"""docs/personalvideo.md names every setting with the default it has."""

import dataclasses
import re
from pathlib import Path

from pvbench.methods.personalvideo import PersonalVideoSettings
from pvbench.methods.personalvideo_plus import PersonalVideoPlusSettings

PAGE = (Path(__file__).parents[2] / "docs/personalvideo.md").read_text(encoding="utf-8")
PRINTED, PLUS = PAGE.split("## Settings of `personalvideo_plus`")


def shown(text):
    """Settings and defaults as the table of a part of the page has them."""
    found = {}
    for names, defaults in re.findall(r"^\| (`[a-z_`, ]+`) \| ([^|]+) \|", text, re.MULTILINE):
        named, values = re.findall(r"`(\w+)`", names), [value.strip(" `") for value in defaults.split(",")]
        assert len(named) == len(values), names
        found |= dict(zip(named, values, strict=True))
    return found


def same(written, wanted):
    if isinstance(wanted, bool):
        return {"on": True, "off": False}[written] is wanted
    return written == wanted if isinstance(wanted, str) else float(written) == wanted


def test_the_table_holds_every_setting_with_its_default():
    table = shown(PRINTED)
    fields = {field.name: field.default for field in dataclasses.fields(PersonalVideoSettings)}
    assert set(table) == set(fields)
    for name, default in fields.items():
        assert same(table[name], default), name


def test_the_table_of_plus_holds_what_is_its_own_or_has_another_default():
    table = shown(PLUS)
    printed = {field.name: field.default for field in dataclasses.fields(PersonalVideoSettings)}
    plus = {field.name: field.default for field in dataclasses.fields(PersonalVideoPlusSettings)}
    own = {name for name, default in plus.items() if name not in printed or printed[name] != default}
    assert own <= set(table)
    for name, written in table.items():
        assert same(written, plus[name]), name


def test_lines_of_the_page_are_no_longer_than_the_codes():
    assert max(len(line) for line in PAGE.splitlines() if not line.startswith("|")) <= 120
