"""Each label has a colour of its own, and its text can be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageColor

from spacy_bga.viewer.colors import DARK, LIGHT, PALETTE, contrast, label_colors, luminance, text_color

HEX = st.integers(0, 0xFFFFFF).map("#{:06x}".format)


@given(HEX)
def test_text_stands_out_on_any_colour(background: str):
    """WCAG AA: 4.5 to 1."""
    shown = luminance(ImageColor.getrgb(background)), luminance(ImageColor.getrgb(text_color(background)))
    assert contrast(*shown) >= 4.5


def test_extremes():
    assert contrast(luminance((0, 0, 0)), luminance((255, 255, 255))) == pytest.approx(21)
    assert text_color("#000") == LIGHT
    assert text_color("white") == DARK
    assert text_color("linear-gradient(90deg, #aa9cfc, #fc9ce7)") == DARK


def test_labels_of_one_page_differ():
    chosen = label_colors(["PER", "LOC", "ORG", "MISC", "Werk", "日付"])
    assert len(set(chosen.values())) == 6
    assert chosen["ORG"] == "#7aecec"  # displaCy's
    assert chosen["PER"] == label_colors(["PERSON"])["PERSON"]
    assert label_colors(["MISC"], {"misc": "red"}) == {"MISC": "red"}
    assert len(label_colors(map(str, range(50)))) == 50
    assert label_colors([]) == {}
    assert set(label_colors(map(str, range(50))).values()) == set(PALETTE)
