"""Which videos a manifest lists, and what its lines say of each."""

import csv
import io
import json
import os

import pytest
from example_inputs import EXAMPLE_PROFILE, make_identity
from PIL import Image

from pvbench.errors import StoreError, VideoError
from pvbench.measuring.imported import Given, People, slug
from pvbench.measuring.layouts import find_videos
from pvbench.measuring.manifest import write_manifest
from pvbench.prompt import Prompt, load_prompts

PROMPTS = (Prompt("surf", "A <V> surfs"), Prompt("wave-2", "A <V> waves <his> hand"))


def shown(found):
    return [(v.method, v.identity.name if v.identity else "", v.prompt_id, v.seed) for v in found.videos]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_manifest_says_it_all(tmp_path, crowd, kind):
    rows = [
        {"video": "a/1.mp4", "identity": "ann", "prompt": "surf", "method": "m", "seed": "2"},
        {"video": "a/2.mp4", "identity": "", "prompt": "two people, arm wrestling", "method": "", "seed": ""},
    ]
    path = tmp_path / f"list.{kind}"
    if kind == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows))
    else:
        path.write_text(
            'video,identity,prompt,method,seed\na/1.mp4,ann,surf,m,2\na/2.mp4,,"two people, arm wrestling",,\n'
        )
    found = find_videos(path, crowd, PROMPTS)
    assert shown(found) == [("m", "ann", "surf", 2), ("list", "", slug("two people, arm wrestling"), 0)]
    assert found.videos[1].text == "two people, arm wrestling"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("../out.mp4,ann,surf", "lies outside of the manifest's folder"),
        ("/etc/passwd,ann,surf", "lies outside of the manifest's folder"),
        ("a.mp4,anne,surf", "unknown identity 'anne' (did you mean 'ann'?)"),
        ("a.mp4,ann,surv", "unknown prompt 'surv' (did you mean 'surf'?)"),
        (",ann,surf", "names no video"),
        ("a.mp4,../out/eve,surf", "identity '../out/eve' lies outside of the manifest's folder"),
        ("a.mp4,/etc/eve,surf", "identity '/etc/eve' lies outside of the manifest's folder"),
        ("a.mp4,link/eve,surf", "identity 'link/eve' lies outside of the manifest's folder"),
        ("a.mp4,people/eve,surf", "no card.toml in"),
        ("a\0b.mp4,ann,surf", "is not a path that can be looked up"),
        ("a.mp4,x\0/y,surf", "is not a path that can be looked up"),
        ("a" * 300 + ".mp4,ann,surf", "is not a path that can be looked up"),
    ],
)
def test_a_manifests_line_that_cannot_be_used_is_told_by_its_number(tmp_path, crowd, line, message):
    make_identity(tmp_path.parent / f"{tmp_path.name}-out", "eve")
    (tmp_path / "link").symlink_to(tmp_path.parent / f"{tmp_path.name}-out")
    (tmp_path / "list.csv").write_text(f"video,identity,prompt\n{line}\n")
    found = find_videos(tmp_path / "list.csv", crowd, PROMPTS)
    assert not found.videos
    assert message in found.problems[0].what
    assert found.problems[0].where.endswith("list.csv line 2")


def test_a_manifests_identity_may_be_a_folder_below_it(tmp_path, crowd):
    make_identity(tmp_path / "mine", "eve")
    (tmp_path / "list.csv").write_text("video,identity,prompt\na.mp4,mine/eve,surf\nb.mp4,./mine/eve,wave-2\n")
    assert [video.identity.name for video in find_videos(tmp_path / "list.csv", crowd, PROMPTS).videos] == ["eve"] * 2
    # What the command line says is the user's own, and starts where the user is.
    given = Given(identity=str(tmp_path / "people" / "bob"))
    (tmp_path / "list.csv").rename(tmp_path / "mine" / "list.csv")
    found = find_videos(tmp_path / "mine" / "list.csv", crowd, PROMPTS, given)
    assert [video.identity.name for video in found.videos] == ["bob"] * 2


def test_texts_in_manifests_may_hold_line_ends(tmp_path, crowd):
    text = "a man walks\u2028and a dog\u0085runs"
    rows = [{"video": f"{index}.mp4", "prompt": text, "seed": index} for index in range(2)]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (tmp_path / "list.jsonl").write_text("\r\n".join(lines), newline="")
    assert [video.text for video in find_videos(tmp_path / "list.jsonl", crowd, PROMPTS).videos] == [text, text]
    (tmp_path / "list.csv").write_text('video,prompt\r\n1.mp4,"a man walks\nand a dog\u2028runs"\r\n', newline="")
    (video,) = find_videos(tmp_path / "list.csv", crowd, PROMPTS).videos
    assert video.text == "a man walks\nand a dog\u2028runs"


LINES = [
    ["video", "identity", "prompt", "seed"],
    ["v/0.mp4", "ann", "a woman, smiling, in a café", "0"],
    ["v/1.mp4", "ann", 'a woman says "hello; you"', "1"],
]


def table(separator=",", lines=LINES, ends="\n"):
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator=ends).writerows(lines)
    return text.getvalue()


TABLES = {
    "plain.csv": table().encode(),
    "bom.csv": table(ends="\r\n").encode("utf-8-sig"),
    "semicolon.csv": table(";", ends="\r\n").encode("utf-8-sig"),
    "sep.csv": ("sep=;\r\n" + table(";", ends="\r\n")).encode(),
    "tabs.csv": table("\t").encode("utf-16"),
    "tabs.tsv": table("\t").encode(),
    "bars.csv": table("|").encode(),
    "windows.csv": table(";").encode("cp1252"),
    "blank.csv": (table() + "\n,,,\n  ,,,\n").encode(),
    "capitals.csv": table(lines=[["Video ", "Identity", "PROMPT", "Seed"], *LINES[1:]]).encode(),
    "other_names.csv": table(lines=[["file_name", "person", "caption", "seed"], *LINES[1:]]).encode(),
    "floats.csv": table(lines=[LINES[0], *([*line[:3], line[3] + ".0"] for line in LINES[1:])]).encode(),
    "backslashes.csv": table(
        lines=[LINES[0], *([line[0].replace("/", "\\"), *line[1:]] for line in LINES[1:])]
    ).encode(),
    "notes.csv": table(lines=[[*line, note] for line, note in zip(LINES, ("notes", "ok", ""), strict=True)]).encode(),
    "list.json": json.dumps([dict(zip(LINES[0], line, strict=True)) for line in LINES[1:]]).encode(),
    "by_video.json": json.dumps({x[0]: {"prompt": x[2], "identity": x[1], "seed": x[3]} for x in LINES[1:]}).encode(),
    "list.jsonl": "\n".join(json.dumps(dict(zip(LINES[0], line, strict=True))) for line in LINES[1:]).encode(),
}


@pytest.mark.parametrize("name", [*TABLES, "list.xlsx"])
def test_tables_as_programs_write_them(tmp_path, crowd, name):
    for index in range(2):
        (tmp_path / "v").mkdir(exist_ok=True)
        (tmp_path / "v" / f"{index}.mp4").write_bytes(b"")
    if name == "list.xlsx":
        import pandas

        pandas.DataFrame(LINES[1:], columns=LINES[0]).assign(seed=[0, 1]).to_excel(tmp_path / name, index=False)
    else:
        (tmp_path / name).write_bytes(TABLES[name])
    found = find_videos(tmp_path / name, crowd, PROMPTS)
    assert not found.problems
    assert [(video.identity.name, video.text, video.seed) for video in found.videos] == [
        ("ann", LINES[1][2], 0),
        ("ann", LINES[2][2], 1),
    ]
    assert all(video.path.is_file() for video in found.videos)
    told = {
        "notes.csv": f"{tmp_path / name}: not read, as no fields of a manifest: notes",
        "windows.csv": f"{tmp_path / name} is not in UTF-8: its letters are read as Windows writes them in western "
        "Europe. If they come out wrong, save it as CSV in UTF-8",
    }
    assert found.notes == ([told[name]] if name in told else [])


def test_prompts_by_video_as_vbench_and_opens2v_write_them(tmp_path, crowd):
    (tmp_path / "singleface_1.mp4").write_bytes(b"")
    (tmp_path / "vbench.json").write_text(json.dumps({"singleface_1.mp4": "a man runs"}))
    (tmp_path / "opens2v.json").write_text(
        json.dumps({"singleface_1": {"prompt": "a man runs", "img_paths": ["1.png"], "class_label": ["man"]}})
    )
    for name in ("vbench.json", "opens2v.json"):
        (video,) = find_videos(tmp_path / name, crowd, PROMPTS).videos
        assert (video.path, video.text) == (tmp_path / "singleface_1.mp4", "a man runs")


def test_a_table_of_prompts_serves_the_folders_of_several_methods(tmp_path, crowd):
    for name in ("phantom/singleface_1.mp4", "magref/singleface_1.mp4", "magref/singleface_2.mp4", ".cache/x.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    entries = {f"singleface_{n}": {"prompt": f"a man runs {n} miles", "img_paths": []} for n in (1, 2, 3)}
    (tmp_path / "Eval.json").write_text(json.dumps(entries))
    found = find_videos(tmp_path / "Eval.json", crowd, PROMPTS)
    assert [(v.method, v.path.name, v.text) for v in found.videos] == [
        ("magref", "singleface_1.mp4", "a man runs 1 miles"),
        ("phantom", "singleface_1.mp4", "a man runs 1 miles"),
        ("magref", "singleface_2.mp4", "a man runs 2 miles"),
        ("Eval", "singleface_3", "a man runs 3 miles"),  # nowhere: listed as missing once it is looked at
    ]
    (tmp_path / "singleface_1.mp4").write_bytes(b"")
    assert find_videos(tmp_path / "Eval.json", crowd, PROMPTS).videos[0].method == "Eval"
    (tmp_path / "named.csv").write_text("video,method\nmagref/singleface_1.mp4,mine\n")
    assert [v.method for v in find_videos(tmp_path / "named.csv", crowd, PROMPTS).videos] == ["mine"]


def test_that_a_sheet_is_not_read_is_noted(tmp_path, crowd):
    import pandas

    with pandas.ExcelWriter(tmp_path / "list.xlsx") as book:
        for name, video in (("films", "1.mp4"), ("more films", "2.mp4")):
            pandas.DataFrame({"video": [video]}).to_excel(book, sheet_name=name, index=False)
    found = find_videos(tmp_path / "list.xlsx", crowd, PROMPTS)
    assert [video.path.name for video in found.videos] == ["1.mp4"]
    assert any("the sheet 'films' is read, not 'more films'" in note for note in found.notes)


@pytest.mark.parametrize(("seed", "meant"), [("3", 3), ("3.0", 3), ("3,0", 3), ("nan", 0), ("", 0)])
def test_a_seed_is_read_as_spreadsheets_write_it(tmp_path, crowd, seed, meant):
    (tmp_path / "list.csv").write_text(f"video;seed\n1.mp4;{seed}\n")
    assert [video.seed for video in find_videos(tmp_path / "list.csv", crowd, PROMPTS).videos] == [meant]


def test_whom_an_opens2v_video_shows_is_the_first_picture_of_a_person(tmp_path, crowd):
    for name in ("faceobj/woman/7.png", "faceobj/cup/1.png"):
        (tmp_path / "Images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (80, 90)).save(tmp_path / "Images" / name)
    for number in (1, 2, 3):
        (tmp_path / f"faceobj_{number}.mp4").write_bytes(b"")
    cup, woman, nobody = ("Images/faceobj/cup/1.png", "Images/faceobj/woman/7.png", "Images/faceobj/man/9.png")
    entries = {
        "faceobj_1": {"prompt": "She drinks.", "img_paths": [cup, woman]},
        "faceobj_2": {"prompt": "A cup.", "img_paths": [cup]},
        "faceobj_3": {"prompt": "He drinks.", "img_paths": [nobody, woman]},
    }
    (tmp_path / "Eval.json").write_text(json.dumps(entries))
    found = find_videos(tmp_path / "Eval.json", crowd, PROMPTS)
    assert [(v.path.name, v.identity and v.identity.name) for v in found.videos] == [
        ("faceobj_1.mp4", "woman-7"),
        ("faceobj_2.mp4", None),
    ]
    assert found.videos[0].identity.images == (tmp_path / woman,)
    (problem,) = found.problems
    assert "9.png" in problem.what
    assert found.notes == []


def test_absolute_paths_and_links_are_read_below_a_root_that_is_allowed(tmp_path, crowd):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.mp4").write_bytes(b"")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "link.mp4").symlink_to(tmp_path / "data" / "a.mp4")
    (tmp_path / "m" / "list.csv").write_text(f"video,seed\n{tmp_path}/data/a.mp4,0\nlink.mp4,1\n../data/a.mp4,2\n")
    refused = find_videos(tmp_path / "m" / "list.csv", crowd, PROMPTS)
    assert len(refused.problems) == 3
    assert "allow it with --root FOLDER" in refused.problems[0].what
    allowed = find_videos(tmp_path / "m" / "list.csv", crowd, PROMPTS, root=tmp_path)
    assert [video.path for video in allowed.videos] == [tmp_path / "data" / "a.mp4"] * 3


def test_a_manifest_of_a_folder_says_the_same_as_the_folder(tmp_path, crowd):
    for name in ("mine/ann/surf-3.mp4", "mine/bob/一个男人在海边跑步-1.mp4", "theirs/ann/a, b; c-0.mp4"):
        (tmp_path / "v" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "v" / name).write_bytes(b"")
    found = find_videos(tmp_path / "v", crowd, PROMPTS)
    write_manifest(tmp_path / "list.csv", found.videos)
    again = find_videos(tmp_path / "list.csv", crowd, PROMPTS)
    assert [(v.method, v.identity, v.text, v.seed, v.path) for v in again.videos] == [
        (v.method, v.identity, v.text, v.seed, v.path) for v in found.videos
    ]


def test_a_list_is_not_written_over(tmp_path, crowd):
    (tmp_path / "list.csv").write_text("video,seed\ncorrected.mp4,3\n")
    with pytest.raises(StoreError, match="is there already, and may hold corrections"):
        write_manifest(tmp_path / "list.csv", [])
    assert "corrected.mp4" in (tmp_path / "list.csv").read_text()


def test_a_list_names_people_by_folders_below_it_so_that_it_is_enough(tmp_path):
    make_identity(tmp_path / "ppl", "ann")
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "a woman sings.mp4").write_bytes(b"")
    found = find_videos(tmp_path / "v", People(), PROMPTS, Given(identity=str(tmp_path / "ppl" / "ann")))
    write_manifest(tmp_path / "list.csv", found.videos)
    (again,) = find_videos(tmp_path / "list.csv", People(), PROMPTS).videos
    assert again.identity == found.videos[0].identity
    text = (tmp_path / "list.csv").read_text().replace("ppl/ann", "ppl\\ann")
    (tmp_path / "list.csv").write_text(text)
    assert find_videos(tmp_path / "list.csv", People(), PROMPTS).videos[0].identity == again.identity


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("utf-8", False), ("utf-8-sig", False), ("utf-16", False), ("utf-16-le", False), ("cp1252", True), ("gbk", True)],
)
def test_a_guess_at_letters_is_told(tmp_path, crowd, encoding, told):
    text = "video;prompt\na.mp4;" + {"gbk": "一个男人在海边", "cp1252": "ein Mann läuft"}.get(encoding, "a man, läuft")
    (tmp_path / "a.mp4").write_bytes(b"")
    (tmp_path / "list.csv").write_bytes(text.encode(encoding))
    notes = find_videos(tmp_path / "list.csv", crowd, PROMPTS).notes
    assert any("is not in UTF-8" in note for note in notes) == told


def test_a_damaged_sheet_is_told(tmp_path, crowd):
    (tmp_path / "list.xlsx").write_bytes(b"PK no sheet")
    with pytest.raises(VideoError, match="is damaged or no Excel file"):
        find_videos(tmp_path / "list.xlsx", crowd, PROMPTS)


def test_the_cases_of_spreadsheets_hold(cases):
    for path in sorted((cases / "excel_tables").glob("*.csv")):
        found = find_videos(path, People(), load_prompts("mini_evaluation").prompts)
        assert [video.seed for video in found.videos] == [0, 0, 1], path
        assert not found.problems


def test_a_link_out_of_the_manifests_folder_is_refused(tmp_path, crowd):
    (tmp_path / "secret.mp4").write_bytes(b"")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    (tmp_path / "m" / "list.csv").write_text("video\nlink.mp4\n")
    assert "outside" in find_videos(tmp_path / "m" / "list.csv", crowd, PROMPTS).problems[0].what


def test_the_same_line_twice_is_told(tmp_path, crowd):
    (tmp_path / "list.csv").write_text("video,identity,prompt\na.mp4,ann,surf\na.mp4,ann,surf\n")
    found = find_videos(tmp_path / "list.csv", crowd, PROMPTS)
    assert len(found.videos) == 1
    assert "line 3" in found.problems[0].where


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vidoe,identity\na.mp4,ann\n", "has the field 'vidoe' (did you mean 'video'?)"),
        ("", "is empty; expected a first line with the names of its columns"),
        ("identity,prompt\nann,surf\n", "lacks the field video"),
        ("video,identity,prompt\na.mp4,ann,one,two\n", "more fields than its first line"),
        ("video\n", "lists no videos"),
        ('video,prompt\na.mp4,"' + "x" * 140_000, "is no CSV"),
    ],
)
def test_a_manifest_of_another_form_is_told(tmp_path, crowd, text, message):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(VideoError) as refused:
        find_videos(tmp_path / "list.csv", crowd, PROMPTS)
    assert message in str(refused.value)


def test_what_could_not_be_read_is_listed_to_be_filled_in(tmp_path, pvbench):
    for name in ("m/anne/surf/0.mp4", "m/ann/surf-1.mp4", "m/ann/surf_1.mp4", os.fsdecode(b"m/ann/caf\xe9 noir-0.mp4")):
        (tmp_path / "v" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "v" / name).write_bytes(b"")
    make_identity(tmp_path / "people", "ann")
    options = ("--profile", EXAMPLE_PROFILE, "--identities", "people", "--write-manifest", "list.csv")
    status, printed, _ = pvbench("measure", "v", *options)
    assert status == 1
    assert "2 more to be filled in" in printed
    assert "its name is no UTF-8, as a list's texts are: rename it" in " ".join(printed.split())
    with (tmp_path / "list.csv").open(newline="", encoding="utf-8-sig") as file:
        lines = {row["video"]: (row["identity"] != "", row["prompt"], row["seed"]) for row in csv.DictReader(file)}
    assert lines == {
        "v/m/anne/surf/0.mp4": (False, "", ""),
        "v/m/ann/surf-1.mp4": (True, "a <V> surfs on a sunny beach", "1"),
        "v/m/ann/surf_1.mp4": (False, "", ""),
    }
    (tmp_path / "w" / "m" / "zed" / "surf").mkdir(parents=True)
    (tmp_path / "w" / "m" / "zed" / "surf" / "0.mp4").write_bytes(b"")
    assert pvbench("measure", "w", *options[:-1], "other.csv")[0] == 2
