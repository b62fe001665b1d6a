"""Tables as spreadsheets and other programs write them: rows of texts with their numbers, or a refusal that helps."""

import json

import pytest

from pvbench.errors import VideoError
from pvbench.measuring.table import read_rows


@pytest.fixture
def rows(tmp_path):
    """The rows of a file of that name and content."""

    def read(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(read_rows(path))

    return read


@pytest.mark.parametrize("mark", [b"", "\ufeff".encode(), "\ufeff".encode("utf-16-le"), "\ufeff".encode("utf-16-be")])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_every_separator_is_found_in_every_encoding(rows, separator, mark):
    encoding = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(mark, "utf-8")
    prompt = "一, two; three |\tfour"
    text = f'video{separator}prompt\r\nvidéo.mp4{separator}"{prompt}"\r\n'
    assert rows("a.csv", mark + text.encode(encoding)) == [(2, {"video": "vidéo.mp4", "prompt": prompt})]


def test_rows_that_hold_nothing_are_left_out_and_the_others_keep_their_numbers(rows):
    found = rows("a.csv", "video,prompt\n1,a\n\n,\n  , \n2,b\n\n")
    assert found == [(2, {"video": "1", "prompt": "a"}), (6, {"video": "2", "prompt": "b"})]


def test_a_line_that_tells_the_separator_to_excel_counts_as_a_line(rows):
    assert rows("a.csv", "sep=|\nvideo|a,b,c\n1|x\n") == [(3, {"video": "1", "a,b,c": "x"})]


def test_what_a_short_row_lacks_is_empty_and_columns_of_any_name_come_along(rows):
    assert rows("a.csv", " video ,rated by,\n1\n2, me ,\n") == [
        (2, {"video": "1", "rated by": "", "Unnamed: 2": ""}),
        (3, {"video": "2", "rated by": "me", "Unnamed: 2": ""}),
    ]


@pytest.mark.parametrize("word", ["NA", "null", "None", "nan", "007", "1.50", "True", "1e3"])
def test_a_value_stays_the_text_that_it_is(rows, word):
    assert rows("a.csv", f"video,identity\n1,{word}\n") == [(2, {"video": "1", "identity": word})]


@pytest.mark.parametrize("name", ["list.CSV", "list.txt", "list"])
def test_a_file_of_another_name_is_read_as_csv(rows, name):
    assert rows(name, "video\n1\n") == [(2, {"video": "1"})]


def test_a_sheet_gives_its_cells_as_they_are_shown_and_its_rows_numbers(tmp_path):
    import pandas

    lines = [("video", " seed ", "share", "note"), ("a", 7, 1.5, "NA"), (None,) * 4, (" b ", 2.0, None, None)]
    pandas.DataFrame(lines, dtype=object).to_excel(tmp_path / "a.xlsx", header=False, index=False)
    (tmp_path / "a.xlsx").rename(tmp_path / "a.XLSX")
    assert list(read_rows(tmp_path / "a.XLSX")) == [
        (2, {"video": "a", "seed": "7", "share": "1.5", "note": "NA"}),
        (4, {"video": "b", "seed": "2", "share": "", "note": ""}),
    ]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_json_values_become_texts_and_null_an_empty_one(rows, name):
    row = {"video": " a ", "seed": 7, " prompt": None, "ok": True}
    assert rows(name, json.dumps([row] if name == "a.json" else row)) == [
        (1, {"video": "a", "seed": "7", "prompt": "", "ok": "True"})
    ]


def test_lines_of_json_are_numbered_with_the_empty_ones(rows):
    assert rows("a.jsonl", '\n{"video": "a"}\r\n \n{"video": "b"}') == [(2, {"video": "a"}), (4, {"video": "b"})]


@pytest.mark.parametrize(
    ("pictures", "face"),
    [
        (["things/cup/1.png", "people\\crop_man\\3.png", "people/woman/4.png"], "people\\crop_man\\3.png"),
        ("people/crop_woman/1.png", "people/crop_woman/1.png"),
        (["things/woman", "things/manual/2.png"], ""),
    ],
)
def test_of_the_pictures_of_an_entry_the_first_in_a_folder_of_people_stays(rows, pictures, face):
    content = json.dumps([{"video": "a.mp4", "img_paths": pictures}])
    assert rows("a.json", content) == [(1, {"video": "a.mp4", "img_paths": face})]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"video,prompt\n1,\x81\n", "cannot be read as a table"),
        ("a.csv", "\ufeff", "is empty; expected a first line with the names of its columns"),
        ("a.csv", "video,prompt\n1,a\n2,b,c\n", ": line 3 has more fields than its first line names"),
        ("a.csv", 'video,prompt\n1,"a\n2,b\n', "a double quote is perhaps not closed"),
        ("a.json", "", "is no JSON (Expecting value"),
        ("a.json", '["a.mp4"]', "entry 1 is 'a.mp4'; expected an object with video, identity, prompt"),
        ("a.jsonl", '{"video": "a"}\n\n{"video":\n', "line 3 is no JSON"),
        ("a.xlsx", "video,prompt\n1,a\n", "is damaged or no Excel file"),
    ],
)
def test_what_is_no_table_is_refused_with_its_path_and_what_is_wrong(rows, tmp_path, name, content, message):
    with pytest.raises(VideoError) as refused:
        rows(name, content)
    assert str(refused.value).startswith(f"{tmp_path / name}")
    assert message in str(refused.value)


@pytest.mark.parametrize("name", ["a.csv", "a.xlsx", "a.json", "a.jsonl"])
def test_a_missing_file_is_told(tmp_path, name):
    with pytest.raises(VideoError, match=f"{name} .*No such file"):
        list(read_rows(tmp_path / name))


def test_lines_may_end_as_on_the_macintosh(rows):
    assert rows("a.csv", "video;prompt\r1;a\r2;b\r") == [
        (2, {"video": "1", "prompt": "a"}),
        (3, {"video": "2", "prompt": "b"}),
    ]


def test_blank_lines_before_the_names_are_left_out_and_counted(rows):
    assert rows("a.csv", "\n\nvideo,prompt\n1,a\n") == [(4, {"video": "1", "prompt": "a"})]


@pytest.mark.parametrize("orient", ["columns", "records", "index"])
def test_a_frame_of_pandas_is_read_as_its_to_json_writes_it(tmp_path, orient):
    import pandas

    frame = pandas.DataFrame({"video": ["1.mp4", "2.mp4"], "prompt": ["a man runs", "a woman walks"], "seed": [3, 4]})
    if orient == "index":
        frame = frame.set_index("video", drop=False)
    frame.to_json(tmp_path / "a.json", orient=orient)
    assert [(row["video"], row["prompt"], row["seed"]) for _, row in read_rows(tmp_path / "a.json")] == [
        ("1.mp4", "a man runs", "3"),
        ("2.mp4", "a woman walks", "4"),
    ]


def test_an_index_alone_makes_no_row(rows):
    found = rows("a.csv", ",video,prompt\n0,1.mp4,a man runs\n1,,\n2,2.mp4,a woman walks\n")
    assert [row["video"] for _, row in found] == ["1.mp4", "2.mp4"]


def test_blank_rows_of_a_sheet_before_the_names_are_left_out_and_counted(tmp_path):
    import pandas

    frame = pandas.DataFrame([["", ""], ["video", "prompt"], ["1.mp4", "a"]])
    frame.to_excel(tmp_path / "a.xlsx", header=False, index=False)
    assert list(read_rows(tmp_path / "a.xlsx")) == [(3, {"video": "1.mp4", "prompt": "a"})]


def test_a_sheet_that_holds_nothing_is_refused(tmp_path):
    import pandas

    pandas.DataFrame([["", ""]]).to_excel(tmp_path / "a.xlsx", header=False, index=False)
    with pytest.raises(VideoError, match=r"a\.xlsx is empty; expected a first row with the names of its columns"):
        list(read_rows(tmp_path / "a.xlsx"))


@pytest.mark.parametrize("text", ["x" * 200_000, "video,prompt\n1," + "x" * 200_000 + "\n"])
def test_a_line_of_any_length_is_read(rows, text):
    found = rows("a.csv", text)
    assert found == [] or found[0][1]["prompt"] == "x" * 200_000


def test_a_separator_that_is_announced_and_missing_is_found(rows):
    assert rows("a.csv", "sep=\nvideo;prompt\n1;a, b\n") == [(3, {"video": "1", "prompt": "a, b"})]


@pytest.mark.parametrize(("name", "content"), [("a.json", "[" * 100_000), ("a.jsonl", "[" * 100_000)])
def test_lists_in_lists_without_end_are_refused(rows, name, content):
    with pytest.raises(VideoError, match="is no JSON"):
        rows(name, content)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_text_of_two_bytes_a_letter_needs_no_mark(rows, encoding):
    assert rows("a.csv", "video,prompt\nnæringsliv.mp4,a\n".encode(encoding)) == [
        (2, {"video": "næringsliv.mp4", "prompt": "a"})
    ]


def test_a_text_that_is_cut_within_a_letter_is_refused(rows):
    with pytest.raises(VideoError, match=r"a\.csv cannot be read as a table .*save it as CSV in UTF-8"):
        rows("a.csv", "\ufeffvideo\n1.mp4\n".encode("utf-16-le")[:-1])


def test_numbers_are_those_of_lines_after_a_text_of_several(rows):
    assert [number for number, _ in rows("a.csv", 'video,prompt\n1,"a\nb\nc"\n2,d\n')] == [2, 5]


def test_vbenchs_full_information_is_a_row_for_each_video(tmp_path):
    path = tmp_path / "VBench_full_info.json"
    entry = {"prompt_en": "a man runs", "dimension": ["dynamic_degree"], "video_list": ["v/a man runs-0.mp4", "b.mp4"]}
    path.write_text(json.dumps([entry, {"prompt_en": "nothing", "video_list": []}]))
    assert list(read_rows(path)) == [
        (1, {"video": "v/a man runs-0.mp4", "prompt": "a man runs"}),
        (1, {"video": "b.mp4", "prompt": "a man runs"}),
    ]


@pytest.mark.parametrize("value", [["a man runs", "b"], {"en": "a man runs"}])
def test_a_prompt_that_is_no_text_is_refused(tmp_path, value):
    (tmp_path / "list.json").write_text(json.dumps([{"video": "a.mp4", "prompt": value}]))
    with pytest.raises(VideoError, match="as its prompt; expected a text or a number"):
        list(read_rows(tmp_path / "list.json"))
