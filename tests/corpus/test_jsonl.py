from __future__ import annotations

import json

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import DocBin
from spacy.training import Example

from spacy_bga.corpus.jsonl import parse_jsonl, read_jsonl
from spacy_bga.corpus.offsets import CharSpan, trim
from spacy_bga.corpus.record import Record, record_to_doc
from spacy_bga.errors import BGAError


def parse(*lines: object, **settings):
    encoded = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    return list(parse_jsonl(encoded, **settings))


def spans(*items: tuple[int, int, str]) -> list[dict]:
    return [{"start": start, "end": end, "label": label} for start, end, label in items]


def test_records():
    records = parse(
        {"text": "a", "image": "x.jpg"},
        {"text": "b", "image": ["x.jpg", "crop.jpg"], "spans": []},
        b"  \n",
        {"text": "c", "image": None, "spans": spans((0, 1, "PER")), "more": 1},
        {"text": "d"},
    )
    assert records == [
        Record("a", ("x.jpg",), None, 1),
        Record("b", ("x.jpg", "crop.jpg"), (), 2),
        Record("c", (), (CharSpan(0, 1, "PER"),), 4),
        Record("d", (), None, 5),
    ]


@pytest.mark.parametrize("empty", ['""', '"  "', "NaN", "null", "[]", "[null]", '["", NaN]'])
def test_an_empty_cell_is_no_image(empty):
    line = b'{"text": "a", "image": %s, "spans": [{"start": 0.0, "end": 1.0, "label": "PER"}]}' % empty.encode()
    assert parse(line) == [Record("a", (), (CharSpan(0, 1, "PER"),), 1)]


@pytest.mark.parametrize("empty", ["NaN", "null", '""'])
def test_empty_cells_among_others(empty):
    (record,) = parse(b'{"text": "a", "image": ["x.jpg", %s, "y.jpg"], "spans": %s}' % (empty.encode(), empty.encode()))
    assert (record.images, record.spans) == (("x.jpg", "y.jpg"), None)


BAD = [
    b"{",
    b"[]",
    b"3",
    b'{"text": "caf\xe9"}',
    b'{"text": "\\ud83d"}',
    b"[" * 100_000,
    {"image": "x.jpg"},
    {"text": None},
    {"text": "a", "image": 3},
    {"text": "a", "image": [3]},
    {"text": "a", "spans": {}},
    {"text": "a", "spans": ["PER"]},
    {"text": "a", "spans": spans((0, 2, "PER"))},
    {"text": "a", "spans": spans((1, 1, "PER"))},
    {"text": "a", "spans": spans((-1, 1, "PER"))},
    {"text": "a", "spans": [{"start": 0.5, "end": 1, "label": "PER"}]},
    {"text": "a", "spans": [{"start": False, "end": True, "label": "PER"}]},
    {"text": "a", "spans": "0-1"},
    {"text": "a", "spans": [{"start": 0, "end": 1}]},
    {"text": "a", "spans": spans((0, 1, ""))},
]


@pytest.mark.parametrize("line", BAD)
def test_bad_lines_are_named_or_left_out(line):
    with pytest.raises(BGAError, match=r"B320.*posts\.jsonl, line 2"):
        parse({"text": "fine"}, line, name="posts.jsonl")
    errors: list[BGAError] = []
    records = parse({"text": "fine"}, line, {"text": "fine too"}, on_bad_line=errors.append)
    assert [record.text for record in records] == ["fine", "fine too"]
    assert len(errors) == 1


def test_byte_order_mark_and_windows_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "a"}\r\n{"text": "b\\u2028"}\r\n')
    assert [record.text for record in read_jsonl(path)] == ["a", "b\u2028"]


def ner(doc) -> list[str | None]:
    blank = doc.copy()
    blank.set_ents([], default="missing")
    return Example(blank, doc).get_aligned_ner()


def test_no_spans_is_not_the_same_as_no_entities(nlp):
    unlabelled, _ = record_to_doc(Record("Kawhi wins", (), None, 1), nlp.make_doc)
    empty, _ = record_to_doc(Record("Kawhi wins", (), (), 1), nlp.make_doc)
    docs = [unlabelled, empty]
    stored = DocBin(attrs=["ENT_IOB", "ENT_TYPE"], docs=docs, store_user_data=True).to_bytes()
    for first, second in (docs, DocBin().from_bytes(stored).get_docs(nlp.vocab)):
        assert not first.has_annotation("ENT_IOB")
        assert ner(first) == [None, None]
        assert second.has_annotation("ENT_IOB")
        assert ner(second) == ["O", "O"]


def test_entities_and_label_map(nlp):
    record = Record("Kawhi Leonard wins NBA", (), (CharSpan(0, 13, "PER"), CharSpan(19, 22, "OTHER")), 1)
    doc, counts = record_to_doc(record, nlp.make_doc, label_map={"OTHER": "MISC"})
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("Kawhi Leonard", "PER"), ("NBA", "MISC")]
    assert (counts.misaligned, counts.overlapping) == (0, 0)


def test_misaligned_spans_are_not_annotated_rather_than_outside(nlp):
    record = Record("Kawhi Leonard wins", (), (CharSpan(0, 9, "PER"),), 1)
    doc, counts = record_to_doc(record, nlp.make_doc)
    assert counts.misaligned == 1
    assert ner(doc) == [None, None, "O"]
    stored = DocBin(attrs=["ENT_IOB", "ENT_TYPE"], docs=[doc]).to_bytes()
    assert [ner(d) for d in DocBin().from_bytes(stored).get_docs(nlp.vocab)] == [[None, None, "O"]]


def test_the_longest_of_overlapping_spans_counts(nlp):
    record = Record("University of New Oxford Town", (), (CharSpan(0, 24, "ORG"), CharSpan(18, 29, "LOC")), 1)
    doc, counts = record_to_doc(record, nlp.make_doc)
    assert counts.overlapping == 1
    assert [ent.text for ent in doc.ents] == ["University of New Oxford"]
    assert doc[4].ent_iob_ == ""


BLANK = spacy.blank("xx")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30), st.data())
@settings(max_examples=100)
def test_any_spans_on_any_text(text, data):
    make_doc = BLANK.make_doc
    borders = st.integers(0, len(text))
    pairs = data.draw(st.lists(st.tuples(borders, borders).filter(lambda p: p[0] < p[1]), max_size=5))
    chosen = tuple(CharSpan(start, end, "PER") for start, end in pairs)
    doc, counts = record_to_doc(Record(text, (), chosen, 1), make_doc)
    assert len(doc.ents) + counts.misaligned + counts.overlapping + counts.blank == len(chosen)
    bare = [trim(text, span) for span in chosen]
    assert {(ent.start_char, ent.end_char) for ent in doc.ents} <= {(span.start, span.end) for span in bare if span}
    covered = {i for span in bare if span for i in range(span.start, span.end)}
    for token in doc:  # what some span claims is never called "outside"
        if covered & set(range(token.idx, token.idx + len(token))):
            assert token.ent_iob_ != "O"
