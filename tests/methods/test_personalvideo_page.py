"""docs/personalvideo.md names every setting with the default it has."""

import dataclasses
import re
from pathlib import Path

from pvbench.methods.personalvideo import PersonalVideoSettings

PAGE = (Path(__file__).parents[2] / "docs/personalvideo.md").read_text(encoding="utf-8")


def test_the_table_holds_every_setting_with_its_default():
    shown = {}
    table = PAGE.split("**The loss.**")[0]
    for names, defaults in re.findall(r"^\| (`[a-z_`, 2]+`) \| ([^|]+) \|", table, re.MULTILINE):
        named, values = re.findall(r"`(\w+)`", names), [value.strip(" `") for value in defaults.split(",")]
        assert len(named) == len(values), names
        shown |= dict(zip(named, values, strict=True))
    assert set(shown) == {field.name for field in dataclasses.fields(PersonalVideoSettings)}
    for field in dataclasses.fields(PersonalVideoSettings):
        wanted = field.default
        found = {"on": True, "off": False}[shown[field.name]] if isinstance(wanted, bool) else shown[field.name]
        assert found == wanted if isinstance(wanted, bool | str) else float(found) == wanted, field.name


def test_lines_of_the_page_are_no_longer_than_the_codes():
    assert max(len(line) for line in PAGE.splitlines() if not line.startswith("|")) <= 120
