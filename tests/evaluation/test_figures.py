from __future__ import annotations

import sys
from xml.etree import ElementTree

import pytest

from spacy_bga.errors import BGAError
from spacy_bga.evaluation.figures import curve_figure, interval_figure

ROWS = [("text only", 85.1, 84.2, 86.0), ("costs $5 & <b> $6", 86.2, 85.5, 87.1), ("Zürich", 85.5, 85.5, 85.5)]
CURVES = {
    "pairs": [(1000.0, 82.0, 81.0, 83.0), (100.0, 70.0, 68.0, 72.0), (12000.0, 90.0, 89.0, 91.0)],
    "shuffled": [(100.0, 69.0, 67.0, 71.0), (1000.0, 72.0, 70.0, 75.0)],
}


def draw_intervals(rows: list[tuple[str, float, float, float]] = ROWS, *, reference: float | None = 85.1) -> str:
    return interval_figure(rows, title="Test set", unit="F1 (%)", reference=reference)


def draw_curves(**changes) -> str:
    return curve_figure(**{"curves": CURVES, "title": "More pairs", "x_unit": "pairs", "unit": "F1 (%)", **changes})


def texts(svg: str) -> list[str]:
    """The texts of an SVG, which has to be one, from top to bottom."""
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    found = sorted(root.iter("{http://www.w3.org/2000/svg}text"), key=lambda text: float(text.attrib["y"]))
    return [text.text or "" for text in found]


def test_intervals_are_labelled() -> None:
    pytest.importorskip("matplotlib")
    found = texts(draw_intervals())
    assert [text for text in found if text in {label for label, *_ in ROWS}] == [label for label, *_ in ROWS]
    assert {"Test set", "F1 (%)"} <= set(found)


def test_reference_is_a_line_of_its_own() -> None:
    pytest.importorskip("matplotlib")
    assert "stroke-dasharray" in draw_intervals()
    assert "stroke-dasharray" not in draw_intervals(reference=None)


def test_curves_are_labelled() -> None:
    pytest.importorskip("matplotlib")
    found = texts(draw_curves())
    assert {"pairs", "shuffled", "More pairs", "F1 (%)"} <= set(found)
    assert [text for text in found if text in ("100", "1,000", "12,000")] == ["100", "1,000", "12,000"]
    assert "1,000" not in texts(draw_curves(log_x=False, curves={"one": [(-1.0, 1.0, 0.0, 2.0), (1.0, 2.0, 1.0, 3.0)]}))


def test_order_of_points_does_not_count() -> None:
    pytest.importorskip("matplotlib")
    assert draw_curves() == draw_curves(curves={name: points[::-1] for name, points in CURVES.items()})


def test_same_numbers_make_the_same_text() -> None:
    """Also after other figures, and with a user's own settings, which stay as they are."""
    matplotlib = pytest.importorskip("matplotlib")
    first = draw_intervals(), draw_curves()
    with matplotlib.rc_context({"font.size": 30, "svg.hashsalt": "other", "axes.facecolor": "red"}):
        assert (draw_intervals(), draw_curves()) == first
        assert matplotlib.rcParams["font.size"] == 30
    assert "dc:date" not in first[0] + first[1]


def test_nothing_to_draw_is_said() -> None:
    for draw in (lambda: draw_intervals([]), lambda: draw_curves(curves={}), lambda: draw_curves(curves={"a": []})):
        with pytest.raises(BGAError, match=r"B522.*nothing"):
            draw()


def test_numbers_must_have_a_place() -> None:
    with pytest.raises(BGAError, match=r"B522.*finite"):
        draw_intervals([("a", 1.0, float("nan"), 2.0)])
    with pytest.raises(BGAError, match=r"B522.*finite"):
        draw_curves(curves={"a": [(1.0, 1.0, 0.0, float("inf"))]})
    with pytest.raises(BGAError, match=r"B522.*logarithmic"):
        draw_curves(curves={"a": [(0.0, 1.0, 0.0, 2.0)]})


def test_missing_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BGAError, match=r"B521.*spacy_bga\[figures\]"):
        draw_intervals()
