"""Identities and their cards."""

import shutil

import numpy as np
import pytest
from example_inputs import make_identity
from PIL import Image

from pvbench.errors import IdentityError
from pvbench.identity import list_identities, load_identities, load_identity, split_root


@pytest.fixture
def ann(tmp_path):
    return make_identity(tmp_path / "people", "ann", scoring=0)


def edit(folder, old, new):
    card = folder / "card.toml"
    text = card.read_text()
    assert old in text
    card.write_text(text.replace(old, new))


def test_a_card_is_read(ann):
    identity = load_identity(ann)
    assert (identity.name, identity.class_noun, identity.licence) == ("ann", "woman", "CC0-1.0")
    assert [image.name for image in identity.images] == ["0.png", "1.png"]
    assert [image.shape for image in identity.references()] == [(80, 72, 3)] * 2
    assert identity.references()[1][0, 0].tolist() == [120, 120, 110]


def test_captions_are_optional_and_one_for_each_image(ann):
    assert load_identity(ann).captions == ("a <V>", "a <V>")
    edit(ann, "images =", 'captions = ["a <V> in red", "a <V> at sea"]\nimages =')
    assert load_identity(ann).captions == ("a <V> in red", "a <V> at sea")


def test_an_unknown_split_is_told():
    with pytest.raises(IdentityError, match=r"unknown split 'develop' \(did you mean 'development'"):
        split_root("develop")


def test_references_of_different_sizes_and_modes_are_rgb(ann):
    Image.fromarray(np.full((100, 64), 7, np.uint8)).save(ann / "0.png")
    assert [image.shape for image in load_identity(ann).references()] == [(100, 64, 3), (80, 72, 3)]


def test_the_digest_is_of_the_content_and_not_of_the_place(ann, tmp_path):
    before = load_identity(ann).digest
    shutil.copytree(ann, tmp_path / "elsewhere")
    assert load_identity(tmp_path / "elsewhere").digest == before
    edit(ann, 'licence = "', 'licence = "public domain or ')
    assert load_identity(ann).digest == before
    edit(ann, "a plain colour", "another")
    changed_card = load_identity(ann).digest
    Image.new("RGB", (80, 80)).save(ann / "1.png")
    assert len({before, changed_card, load_identity(ann).digest}) == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('class_noun = "woman"', 'class_noun = "boy"', "class_noun is 'boy'; expected man, woman, person"),
        ('class_noun = "woman"', 'class_nuon = "woman"', r"unknown field 'class_nuon' \(did you mean 'class_noun'"),
        ('licence = "CC0-1.0"\n', "", "licence is missing"),
        ('consent = "nobody is shown"', 'consent = " "', "consent is ' '; expected a text"),
        ('name = "ann"', 'name = "../ann"', "a name has letters"),
        ("'1.png'", "'2.png'", "lists '2.png', which is not in that folder"),
        ("'1.png'", "'0.png'", "names a file twice"),
        ("['0.png', '1.png']", "[]", "at least one"),
        ("['0.png', '1.png']", "'0.png'", "expected a list of file names"),
        ("name =", "name", "is no TOML"),
        ("images =", "captions = ['a <V>']\nimages =", "there are 1 captions for 2 images"),
        ("images =", "captions = ['a <V>', 'a man']\nimages =", "the caption 'a man' names the person 0 times"),
        ("images =", "captions = 'a <V>'\nimages =", "captions is 'a <V>'; expected a list of texts"),
    ],
)
def test_a_wrong_card_is_told_with_file_and_field(ann, old, new, message):
    edit(ann, old, new)
    with pytest.raises(IdentityError, match=message) as caught:
        load_identity(ann)
    assert str(ann) in str(caught.value)


def test_images_do_not_leave_the_folder(ann, tmp_path):
    Image.new("RGB", (80, 80)).save(tmp_path / "people" / "other.png")
    edit(ann, "'1.png'", "'../other.png'")
    with pytest.raises(IdentityError, match="outside"):
        load_identity(ann)


def test_a_link_does_not_leave_the_folder_either(ann, tmp_path):
    Image.new("RGB", (80, 80)).save(tmp_path / "secret.png")
    (ann / "1.png").unlink()
    (ann / "1.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(IdentityError, match="outside"):
        load_identity(ann)


def test_a_broken_image_is_told(ann):
    (ann / "1.png").write_bytes((ann / "1.png").read_bytes()[:60])
    with pytest.raises(IdentityError, match=r"1\.png does not decode"):
        load_identity(ann)


def test_a_small_image_is_told(ann):
    Image.new("RGB", (63, 80)).save(ann / "1.png")
    with pytest.raises(IdentityError, match="63x80 pixels; expected at least 64"):
        load_identity(ann)


def test_a_folder_without_a_card_is_told(tmp_path):
    with pytest.raises(IdentityError, match=r"no card\.toml"):
        load_identity(tmp_path)


def test_a_single_photo_is_a_person(tmp_path):
    Image.new("RGB", (80, 90)).save(tmp_path / "my aunt.jpg")
    (tmp_path / "woman").mkdir()
    Image.new("RGB", (80, 90)).save(tmp_path / "woman" / "12.png")
    aunt = load_identity(tmp_path / "my aunt.jpg")
    assert (aunt.name, aunt.class_noun, len(aunt.references())) == ("my-aunt", "person", 1)
    # Of a number alone nobody would know whose it is.
    assert load_identities([str(tmp_path / "woman" / "12.png")])[0].name == "woman-12"
    assert list_identities(tmp_path) == ("woman",)


@pytest.mark.parametrize(("name", "why"), [("broken.jpg", "does not decode"), ("phone.heic", "HEIC")])
def test_a_single_photo_that_cannot_be_read_is_told(tmp_path, name, why):
    (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(IdentityError, match=why) as told:
        load_identity(tmp_path / name)
    assert name in str(told.value)


def test_all_identities_come_in_alphabetical_order(tmp_path):
    for name in ("zoe", "ann", "bob"):
        make_identity(tmp_path, name)
    (tmp_path / "no_identity").mkdir()
    assert list_identities(tmp_path) == ("ann", "bob", "zoe")
    assert [identity.name for identity in load_identities(root=tmp_path)] == ["ann", "bob", "zoe"]


def test_named_identities_come_in_the_order_given(tmp_path):
    for name in ("zoe", "ann", "bob"):
        make_identity(tmp_path, name)
    assert [identity.name for identity in load_identities(["zoe", "ann"], tmp_path)] == ["zoe", "ann"]


def test_a_path_is_a_folder_anywhere(tmp_path):
    make_identity(tmp_path / "own", "cid")
    assert load_identities([str(tmp_path / "own" / "cid")])[0].name == "cid"


def test_an_unknown_identity_is_told_with_the_nearest(tmp_path):
    make_identity(tmp_path, "annabel")
    with pytest.raises(IdentityError, match=r"unknown identity 'anabel' \(did you mean 'annabel'\?\)"):
        load_identities(["anabel"], tmp_path)


def test_two_identities_of_one_name_are_told(tmp_path):
    make_identity(tmp_path, "ann")
    with pytest.raises(IdentityError, match="two identities are named 'ann'"):
        load_identities(["ann", str(tmp_path / "ann")], tmp_path)


def test_a_root_without_identities_is_told(tmp_path):
    with pytest.raises(IdentityError, match="no identities in"):
        load_identities(root=tmp_path)


class TestPhotosThatScore:
    """What is tuned on does not score, where a person has photos enough."""

    @pytest.fixture
    def apart(self, ann):
        Image.fromarray(np.full((90, 90, 3), 77, np.uint8)).save(ann / "2.png")
        edit(ann, "images =", "scoring_images = ['2.png']\nimages =")
        return ann

    def test_they_are_another_list_that_methods_do_not_see(self, apart):
        identity = load_identity(apart)
        assert [image.name for image in identity.images] == ["0.png", "1.png"]
        assert [image.name for image in identity.scored_with] == ["2.png"]
        assert len(identity.references()) == 2
        assert [int(photo[0, 0, 0]) for photo in identity.scoring_photos()] == [77]

    def test_without_them_the_photos_that_are_tuned_on_score(self, ann):
        identity = load_identity(ann)
        assert identity.scored_with == identity.images
        assert len(identity.scoring_photos()) == 2

    def test_another_one_changes_what_scores_and_not_what_is_tuned(self, apart):
        before = load_identity(apart)
        tuned, scored = before.digest, before.scoring_digest
        Image.fromarray(np.full((90, 90, 3), 78, np.uint8)).save(apart / "2.png")
        assert load_identity(apart).digest == tuned
        assert load_identity(apart).scoring_digest != scored

    def test_a_photo_of_both_lists_is_refused_whatever_its_name(self, apart):
        Image.open(apart / "1.png").save(apart / "2.png", compress_level=0)
        with pytest.raises(IdentityError, match=r"scoring_images lists '2.png', the same picture as '1.png' of images"):
            load_identity(apart)

    @pytest.mark.parametrize(
        ("listed", "message"),
        [
            ("[]", "scoring_images is .*; expected a list of file names, at least one"),
            ("['9.png']", "scoring_images lists '9.png', which is not in that folder"),
            ("['2.png', '2.png']", "scoring_images names a file twice"),
        ],
    )
    def test_a_wrong_list_is_told_with_its_field(self, apart, listed, message):
        edit(apart, "['2.png']", listed)
        with pytest.raises(IdentityError, match=message):
            load_identity(apart)

    @pytest.mark.parametrize(
        "again",
        [
            lambda photo: photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
            lambda photo: photo.resize((100, 100)),
            lambda photo: photo.crop((8, 8, 248, 248)),
            lambda photo: photo.point(lambda level: 0.6 * level),
            lambda photo: photo.crop((20, 20, 236, 236)).transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        ],
        ids=["mirrored", "smaller", "cropped", "darker", "cropped and mirrored"],
    )
    def test_a_photo_that_is_nearly_one_of_the_other_list_is_refused(self, apart, again):
        photo = Image.fromarray(load_identities(["ada"])[0].references()[0])
        photo.save(apart / "0.png")
        again(photo).save(apart / "2.jpg", quality=70)
        edit(apart, "['2.png']", "['2.jpg']")
        with pytest.raises(IdentityError, match=r"lists '2\.jpg', the same picture as '0\.png' of images, or nearly"):
            load_identity(apart)

    @pytest.mark.parametrize("split", ["benchmark", "development"])
    def test_every_shipped_person_has_two(self, split):
        for identity in load_identities(None, split_root(split)):
            assert len(identity.scoring) == 2
            assert len(identity.images) == 5


class TestPlainFolders:
    """Photos in a folder, without a card."""

    @pytest.fixture
    def eve(self, ann):
        (ann / "card.toml").unlink()
        return ann.rename(ann.parent / "Eve M.")

    def test_every_photo_serves_and_nothing_need_be_said(self, eve):
        identity = load_identity(eve)
        assert (identity.name, identity.class_noun, identity.plain) == ("Eve-M", "person", True)
        assert [image.name for image in identity.images] == ["0.png", "1.png"]
        assert identity.left_out == ()
        assert list_identities(eve.parent) == ("Eve M.",)
        assert load_identities([f"{eve}/"])[0].digest == identity.digest

    def test_a_folder_of_such_folders_is_all_of_its_people(self, eve, monkeypatch):
        shutil.copytree(eve, eve.with_name("Bo"))
        people = load_identities([f"{eve.parent}/"])
        assert [identity.name for identity in people] == ["Bo", "Eve-M"]
        assert [identity.name for identity in load_identities([f"{eve}/"])] == ["Eve-M"]
        monkeypatch.chdir(eve.parent.parent)
        with pytest.raises(
            IdentityError, match=rf"unknown identity '{eve.parent.name}'.* give \./{eve.parent.name}, wh"
        ):
            load_identities([eve.parent.name])

    def test_a_photo_that_cannot_serve_is_named_and_left_out(self, eve):
        (eve / "bad.jpg").write_text("no picture")
        (eve / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
        Image.new("RGB", (20, 20)).save(eve / "small.png")
        identity = load_identity(eve)
        assert [image.name for image in identity.images] == ["0.png", "1.png"]
        assert len(identity.left_out) == 3
        for words in ("IMG_1.HEIC is in HEIC, which is not read; save it as JPEG", "bad.jpg does not decode", "20x20"):
            assert any(words in why for why in identity.left_out)

    @pytest.mark.parametrize(("photos", "kept"), [(1, 0), (2, 1), (3, 1), (5, 1), (6, 2), (9, 2)])
    def test_a_third_of_the_photos_is_kept_from_tuning(self, tmp_path, photos, kept):
        home = make_identity(tmp_path, "kim", images=photos, scoring=0)
        (home / "card.toml").unlink()
        person = load_identity(home)
        apart = person.with_photos_apart()
        assert [path.name for path in apart.scoring] == [f"{n}.png" for n in range(photos - kept, photos)]
        assert apart.images == person.images[: photos - kept]
        assert len(apart.captions) == photos - kept
        assert apart.with_photos_apart() is apart or not kept

    def test_a_near_copy_is_not_kept_from_tuning(self, tmp_path):
        home = tmp_path / "kim"
        home.mkdir()
        for number, photo in enumerate(load_identities(["ada"])[0].references()[:3]):
            Image.fromarray(photo).save(home / f"{number}.png")
        Image.open(home / "0.png").save(home / "3.jpg", quality=60)
        apart = load_identity(home).with_photos_apart()
        assert [path.name for path in apart.scoring] == ["2.png"]
        assert [path.name for path in apart.images] == ["0.png", "1.png", "3.jpg"]

    def test_photos_that_browsers_and_messengers_save_are_read(self, eve):
        for name, kind in (("2.jfif", "JPEG"), ("3.avif", "AVIF"), ("4.gif", "GIF")):
            Image.new("RGB", (80, 90), (200, 10, 10)).save(eve / name, format=kind)
        (eve / "5.CR2").write_bytes(b"raw")
        identity = load_identity(eve)
        assert [image.name for image in identity.images] == ["0.png", "1.png", "2.jfif", "3.avif", "4.gif"]
        assert [photo.shape for photo in identity.references()[2:]] == [(90, 80, 3)] * 3
        (why,) = identity.left_out
        assert "5.CR2 is in a camera's raw format, which is not read; save it as JPEG and remove this one" in why

    def test_a_photo_of_a_phone_is_known_by_its_head_whatever_it_is_called(self, eve):
        (eve / "IMG_2.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
        (why,) = load_identity(eve).left_out
        assert "IMG_2.jpg is in HEIC, which is not read; save it as JPEG (on a phone" in why

    def test_a_folder_of_people_is_not_taken_for_one_person(self, eve):
        with pytest.raises(IdentityError, match=r"holds the folders of 1 person; name one of them, such as .*Eve M\."):
            load_identity(eve.parent)

    def test_a_folder_of_which_no_photo_serves_is_told(self, eve):
        for image in eve.iterdir():
            image.unlink()
        with pytest.raises(IdentityError, match=r"no card\.toml in .*Eve M\., and no photos"):
            load_identity(eve)
        (eve / "a.heic").write_bytes(b"")
        with pytest.raises(IdentityError, match="save it as JPEG"):
            load_identity(eve)


def test_a_card_that_notepad_saved_is_read(ann):
    text = (ann / "card.toml").read_text()
    (ann / "card.toml").write_text(text, encoding="utf-8-sig")
    assert load_identity(ann).name == "ann"


def test_the_class_noun_is_optional(ann):
    edit(ann, 'class_noun = "woman"\n', "")
    assert load_identity(ann).class_noun == "person"
    edit(ann, "description", 'class_noun = "person"\ndescription')
    assert load_identity(ann).class_noun == "person"
