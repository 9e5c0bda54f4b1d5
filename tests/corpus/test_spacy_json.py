from __future__ import annotations

import pytest
import spacy

from spacy_bga.corpus.conll import Post
from spacy_bga.corpus.offsets import CharSpan
from spacy_bga.corpus.spacy_json import parse_spacy_json


def paragraph(*tokens, **more):
    return {"sentences": [{"tokens": [{"orth": word, "ner": tag} for word, tag in tokens]}]} | more


def test_paragraphs_with_their_text():
    tokens = (("Paris", "U-LOC"), ("is", "O"), ("nice", "-"), ("Bob", "U-PER"))
    data = {"id": 0, "paragraphs": [paragraph(*tokens, raw="Paris is  nice, Bob", image="1.jpg")], "image": "2.jpg"}
    with pytest.raises(ValueError, match="are not those of its 'raw'"):
        list(parse_spacy_json(data, 3))
    data["paragraphs"][0]["raw"] = "Paris is  nice Bob"
    (record,) = parse_spacy_json(data, 3)
    assert (record.text, record.images, record.line) == ("Paris is  nice Bob", ("1.jpg",), 3)
    assert record.spans == (CharSpan(0, 5, "LOC"), CharSpan(15, 18, "PER"))
    assert record.unknown == ((10, 14),)


def test_paragraphs_of_tokens_alone():
    data = {
        "paragraphs": [paragraph(("New", "B-LOC"), ("York", "L-LOC"), ("?", "-")), paragraph(("wins", "O"), raw="")]
    }
    first, second = parse_spacy_json(data | {"image": "1.jpg"}, 1)
    assert first == Post(("New", "York", "?"), ("B-LOC", "I-LOC", ""), None, 1, ("1.jpg",))
    assert second.tags == ("O",)


def test_paragraphs_without_entities():
    sentences = [{"tokens": [{"orth": "Paris", "tag": "NNP"}]}]
    (record,) = parse_spacy_json({"paragraphs": [{"raw": "Paris", "sentences": sentences}]}, 1)
    assert record.spans is None
    for bad in (3, {"sentences": 3}, {}):
        with pytest.raises(ValueError, match="paragraph"):
            list(parse_spacy_json({"paragraphs": [bad]}, 1))


def test_pairs_and_documents():
    (record,) = parse_spacy_json(["Paris", {"entities": [[0, 5, "LOC"]], "image": "1.jpg", "more": [[0, 5, "X"]]}], 1)
    assert (record.spans, record.images, record.unread) == ((CharSpan(0, 5, "LOC"),), ("1.jpg",), ("more",))
    doc = spacy.blank("en")("Paris wins")
    doc.ents = [doc.char_span(0, 5, label="LOC")]
    (record,) = parse_spacy_json(doc.to_json(), 1)
    assert (record.text, record.spans, record.unread) == ("Paris wins", (CharSpan(0, 5, "LOC"),), ())
