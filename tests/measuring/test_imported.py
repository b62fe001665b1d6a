"""What an imported video shows, in words and as an id."""

from pvbench.measuring.imported import render_text, slug
from pvbench.prompt import Prompt


def test_without_a_person_a_text_says_person():
    assert render_text("x", "A <V> nods", None) == "A person nods"
    assert render_text("x", "Waves break", "man") == "Waves break"


def test_slugs_are_ids_and_different_texts_have_different_ones():
    assert slug("surf") == "surf"
    assert slug("a  b") != slug("a b")
    Prompt(slug("<V>!"), "A <V>")
