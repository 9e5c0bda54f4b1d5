from __future__ import annotations

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.training import iob_to_biluo
from spacy.training.iob_utils import doc_to_biluo_tags

from spacy_bga.corpus.tag_schemes import find_scheme, to_iob2

EXPECTED = ["B-PER", "I-PER", "I-PER", "O", "B-OIL-FIELD", "B-OIL-FIELD", "I-OIL-FIELD", "O"]


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ("B-PER I-PER I-PER O B-OIL-FIELD B-OIL-FIELD I-OIL-FIELD O", "IOB2"),
        ("I-PER I-PER I-PER O I-OIL-FIELD B-OIL-FIELD I-OIL-FIELD O", "IOB1"),
        ("B-PER I-PER E-PER O S-OIL-FIELD B-OIL-FIELD E-OIL-FIELD O", "IOBES"),
        ("B-PER I-PER L-PER O U-OIL-FIELD B-OIL-FIELD L-OIL-FIELD O", "BILUO"),
        ("B-PER M-PER E-PER O S-OIL-FIELD B-OIL-FIELD E-OIL-FIELD O", "BMES"),
        ("B-PER M-PER E-PER O W-OIL-FIELD B-OIL-FIELD E-OIL-FIELD O", "BMEWO"),
        ("B-PER M-PER L-PER O S-OIL-FIELD B-OIL-FIELD E-OIL-FIELD O", "mixed"),
    ],
)
def test_schemes(tags, scheme):
    assert find_scheme([["O"], tags.split()]) == scheme
    assert to_iob2(tags.split(), scheme) == (EXPECTED, 0)


def test_without_an_entity():
    assert find_scheme([["O", "O"], [], [""]]) is None
    assert to_iob2(["O", "", "O"], None) == (["O", "", "O"], 0)


def test_entities_without_a_beginning():
    assert to_iob2(["O", "I-PER"], "IOB2") == (["O", "B-PER"], 1)
    assert to_iob2(["E-PER", "S-PER", "I-PER", "E-PER", "L-LOC"], "IOBES") == (
        ["B-PER", "B-PER", "B-PER", "I-PER", "B-LOC"],
        3,
    )


NLP = spacy.blank("xx")


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(["PER", "L-U", "S"])), max_size=5))
def test_what_spacy_writes_is_read_back(pieces):
    spans, position = [], 0
    for gap, length, label in pieces:
        spans.append((position + gap, position + gap + length, label))
        position += gap + length
    doc = Doc(NLP.vocab, words=["w"] * (position + 1))
    doc.ents = [Span(doc, *span) for span in spans]
    plain = [f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else "O" for token in doc]
    biluo = doc_to_biluo_tags(doc)
    assert iob_to_biluo(plain) == biluo
    assert to_iob2(biluo, find_scheme([biluo])) == (plain, 0)
