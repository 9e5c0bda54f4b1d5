from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_bga.corpus.cells import is_empty, parse_images, parse_offset
from spacy_bga.corpus.offsets import CharSpan
from spacy_bga.corpus.span_list import holds_spans, parse_spans, unread_keys

PARIS = CharSpan(0, 5, "LOC")


@pytest.mark.parametrize(
    "item",
    [
        {"start": 0, "end": 5, "label": "LOC"},
        {"start": 0.0, "end": 5.0, "label": "LOC", "text": ""},
        {"start_offset": 0, "end_offset": 5, "label": "LOC", "id": 3},
        {"start_char": 0, "end_char": 5, "entity": "LOC"},
        {"start": 0, "end": 5, "labels": ["LOC"]},
        [0, 5, "LOC"],
        [0, 5, "LOC", "Paris"],
    ],
)
def test_spans_in_all_forms(item):
    assert parse_spans([item], "Paris is nice") == (PARIS,)
    assert holds_spans([item])
    assert unread_keys({"marks": [item], "spans": [item]}, ("spans",)) == ("marks",)


def test_several_labels_of_one_span():
    spans = parse_spans([{"start": 0, "end": 5, "labels": ["LOC", "ORG"], "text": "Paris"}], "Paris")
    assert spans == (CharSpan(0, 5, "LOC", "Paris"), CharSpan(0, 5, "ORG", "Paris"))


@pytest.mark.parametrize("value", [[], {}, "text", 3, None, [1, 2, 3], ["a"], [[0, 5]], [["a", "b", "c"]], {"a": []}])
def test_what_holds_no_spans(value):
    assert not holds_spans(value)


def test_offsets_beyond_the_text_are_told():
    with pytest.raises(ValueError, match="0 to 6 is not inside the text, which has 5 characters"):
        parse_spans([[0, 6, "LOC"]], "Paris")
    assert parse_spans([[0, 2, "X"]], "😀") == (CharSpan(0, 2, "X"),)  # it may count UTF-16 units
    with pytest.raises(ValueError, match="which has 1 characters"):
        parse_spans([[0, 3, "X"]], "😀")


def test_cells():
    assert all(map(is_empty, [None, "", " \n", float("nan")]))
    assert not any(map(is_empty, [0, False, "a", [], 0.0]))
    assert [parse_offset(value) for value in (0, 3.0, 3.5, True, "3", None)] == [0, 3, None, None, None, None]
    assert parse_images(["a.jpg", None, "", "b.jpg"]) == ("a.jpg", "b.jpg")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats() | st.sampled_from(["LOC", "", "start"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["start", "end", "label", "labels", "value", "text"]), inner)
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_spans_or_an_error(value):
    holds_spans(value)
    try:
        spans = parse_spans(value, "Paris is")
    except ValueError:
        return
    assert all(0 <= span.start < span.end <= 8 and span.label for span in spans or ())
