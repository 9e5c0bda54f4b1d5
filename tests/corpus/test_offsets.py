from __future__ import annotations

import spacy
from hypothesis import given
from hypothesis import strategies as st

from spacy_bga.corpus.offsets import CharSpan, settle, to_characters, trim, unit_positions, utf16_length
from spacy_bga.corpus.record import Record, record_to_doc
from tests.corpus.exports import units

TEXTS = st.text(
    st.sampled_from("ab 😀🎉𝒳é漢שע\u200d\n") | st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30
)


def counted_by(text: str, start: int, end: int, own: str | None = None) -> CharSpan:
    return CharSpan(units(text, start), units(text, end), "PER", own)


@given(TEXTS, st.data())
def test_utf16_units_become_characters(text, data):
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    span = counted_by(text, start, end)
    assert to_characters(unit_positions(text), span) == CharSpan(start, end, "PER")
    assert utf16_length(text) == len(text.encode("utf-16-le")) // 2


@given(TEXTS, st.data())
def test_what_the_spans_texts_prove_is_mended(text, data):
    """Whatever a span's offsets count, what it becomes has its own text, or is told as lost."""
    borders = st.integers(0, len(text))
    pairs = data.draw(st.lists(st.tuples(borders, borders).filter(lambda p: p[0] < p[1]), min_size=1, max_size=4))
    spans = [counted_by(text, start, end, text[start:end]) for start, end in pairs]
    settled = settle(text, spans)
    assert len(settled.spans) + len(settled.lost) == len(spans)
    for span in settled.spans:
        assert span.text is None or text[span.start : span.end].split() == span.text.split()
    if len(set(text)) == len(text):  # nothing that could be mixed up
        assert [(span.start, span.end) for span in settled.spans] == pairs
    plain = [CharSpan(start, end, "PER", text[start:end]) for start, end in pairs]
    assert settle(text, plain).spans == tuple(plain)


@given(TEXTS, st.data())
def test_white_space_is_trimmed(text, data):
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    bare = trim(text, CharSpan(start, end, "PER"))
    if start < end:
        assert (text[bare.start : bare.end] if bare else "") == text[start:end].strip()


def ents(doc):
    return [(ent.text, ent.label_) for ent in doc.ents]


NLP = spacy.blank("en")
POST = "🎉🎉 Kevin Durant joins the Warriors"


def test_an_emoji_is_two_in_javascript():
    spans = (counted_by(POST, 3, 15, "Kevin Durant"), counted_by(POST, 26, 34, "Warriors"))
    assert spans[1].end > len(POST)
    doc, counts = record_to_doc(Record(POST, (), spans, 1), NLP.make_doc)
    assert ents(doc) == [("Kevin Durant", "PER"), ("Warriors", "PER")]
    assert (counts.shifted, counts.misaligned, counts.suspected) == (2, 0, 0)


def test_one_span_with_its_text_proves_it_for_the_others():
    spans = (counted_by(POST, 3, 15), counted_by(POST, 26, 34, "Warriors"))
    doc, counts = record_to_doc(Record(POST, (), spans, 1), NLP.make_doc)
    assert len(ents(doc)) == counts.shifted == 2


def test_without_texts_the_likely_cause_is_named():
    spans = (counted_by(POST, 3, 15), counted_by(POST, 26, 34))
    doc, counts = record_to_doc(Record(POST, (), spans, 1), NLP.make_doc)
    assert (ents(doc), counts.misaligned, counts.suspected) == ([], 2, 2)
    assert "UTF-16" in counts.messages[0][1]
    doc, counts = record_to_doc(Record(POST, (), spans, 1), NLP.make_doc, offsets="utf-16")
    assert (len(ents(doc)), counts.shifted, counts.suspected) == (2, 2, 0)
    doc, counts = record_to_doc(Record(POST, (), spans, 1), NLP.make_doc, offsets="characters")
    assert (ents(doc), counts.misaligned, counts.suspected) == ([], 2, 0)


def test_what_fits_by_chance_is_not_learnt():
    text = "😀 😀 a b c"
    spans = (counted_by(text, 4, 5), counted_by(text, 8, 9))
    assert text[spans[0].start : spans[0].end] == "b"
    doc, counts = record_to_doc(Record(text, (), spans, 1), NLP.make_doc)
    assert (ents(doc), counts.suspected, counts.misaligned) == ([], 2, 2)
    assert [token.text for token in doc if token.ent_iob_ == ""] == ["a", "b", "c"]


def test_a_span_is_found_by_its_text_if_it_is_there_once():
    text = "Durant and Curry and Durant"
    spans = (CharSpan(3, 8, "PER", "Curry"), CharSpan(1, 7, "PER", "Durant"), CharSpan(0, 5, "PER", "Nobody"))
    doc, counts = record_to_doc(Record(text, (), spans, 1), NLP.make_doc)
    assert (ents(doc), counts.moved, counts.misaligned) == ([("Curry", "PER")], 1, 2)
    assert "'Durant' (PER)" in str(counts.messages)


def test_white_space_at_the_ends_costs_no_entity():
    text = "so Kevin Durant joins the Warriors "
    spans = (CharSpan(3, 16, "PER"), CharSpan(25, 35, "ORG"), CharSpan(15, 16, "ORG"))
    doc, counts = record_to_doc(Record(text, (), spans, 1), NLP.make_doc)
    assert ents(doc) == [("Kevin Durant", "PER"), ("Warriors", "ORG")]
    assert (counts.trimmed, counts.blank, counts.misaligned) == (2, 1, 0)
    assert doc[3].ent_iob_ == "O"


def test_messages_name_text_and_label():
    spans = (CharSpan(0, 3, "PER"), CharSpan(6, 15, "ORG"), CharSpan(6, 12, "LOC"))
    _, counts = record_to_doc(Record("Kevin Durant FC wins", (), spans, 1), NLP.make_doc)
    messages = "\n".join(message for _, message in counts.messages)
    assert "misaligned span: 'Kev' (PER), characters 0 to 3, in the tokens [Kevin]" in messages
    assert "overlapping span: 'Durant' (LOC)" in messages
