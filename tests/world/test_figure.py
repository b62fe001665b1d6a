"""The figure: what its sliders are called."""


def test_sliders_name_parts_of_the_face_once(figure):
    sliders = figure.face_sliders()
    assert len(sliders) > 60
    assert len(set(sliders)) == len(sliders)
    assert not [name for name in sliders if name.startswith("r-")]
