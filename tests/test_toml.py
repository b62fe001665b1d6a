"""Reading what people write."""

import pytest

from pvbench.errors import PromptError
from pvbench.toml import only_fields, read_toml


def test_a_file_is_read(tmp_path):
    (tmp_path / "file.toml").write_text('name = "grüße"\n', encoding="utf-8")
    assert read_toml(tmp_path / "file.toml", PromptError) == {"name": "grüße"}


@pytest.mark.parametrize("content", [b"name =", b"name = 1\nname = 2", b'name = "\xff"'])
def test_what_is_no_toml_is_told_with_the_file(tmp_path, content):
    (tmp_path / "file.toml").write_bytes(content)
    with pytest.raises(PromptError, match=r"file\.toml is no TOML"):
        read_toml(tmp_path / "file.toml", PromptError)


def test_what_cannot_be_read_is_told(tmp_path):
    with pytest.raises(PromptError, match="cannot be read: Is a directory"):
        read_toml(tmp_path, PromptError)


def test_unknown_fields_are_told_with_the_nearest():
    only_fields({"name": 1}, ("name", "text"), "here", PromptError)
    message = r"here has the unknown field 'txt' \(did you mean 'text'\?\); it takes name, text"
    with pytest.raises(PromptError, match=message):
        only_fields({"txt": 1}, ("name", "text"), "here", PromptError)
