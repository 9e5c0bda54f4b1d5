"""spaCy's older training data: its JSON format, lists of [TEXT, {"entities": ...}], and `Doc.to_json()`.

[{"id": 0, "paragraphs": [{"raw": "Paris wins", "sentences": [{"tokens": [{"orth": "Paris", "ner": "U-LOC"}, ...]}]}]}]
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from spacy.tokens import Doc
from spacy.training.converters import json_to_docs

from spacy_bga.corpus.cells import is_empty, parse_text
from spacy_bga.corpus.conll import Post
from spacy_bga.corpus.jsonl import images_of
from spacy_bga.corpus.offsets import CharSpan
from spacy_bga.corpus.record import Record
from spacy_bga.corpus.span_list import parse_spans, unread_keys


def is_spacy_json(data: Any) -> bool:
    """RETURNS (bool): Whether an item of a JSON file is one of spaCy's."""
    if isinstance(data, list):
        return len(data) == 2 and isinstance(data[0], str) and isinstance(data[1], dict)
    return isinstance(data, dict) and (
        isinstance(data.get("paragraphs"), list) or ("text" in data and isinstance(data.get("ents"), list))
    )


def parse_spacy_json(data: Any, line: int) -> Iterator[Record | Post]:
    """Read an item.

    data (Any): The item. line (int): The line on which it begins.
    YIELDS (Record | Post): Its texts; without "raw", only their tokens are known.
    RAISES (ValueError): It can't be used.
    """
    if isinstance(data, list):
        text, annotation = parse_text(data[0]), data[1]
        spans = parse_spans(annotation.get("entities"), text, "entities")
        unread = unread_keys(annotation, ("entities",))
        yield Record(text, images_of(annotation), spans, line, unread=unread)
    elif "paragraphs" not in data:
        text = parse_text(data.get("text"))
        spans = parse_spans(data.get("ents"), text, "ents")
        yield Record(text, images_of(data), spans, line, unread=unread_keys(data, ("ents",)))
    else:
        for paragraph in data["paragraphs"]:
            if not isinstance(paragraph, dict):
                raise ValueError("a paragraph is not an object")
            yield _parse_paragraph(paragraph, images_of(paragraph) or images_of(data), line)


def _parse_paragraph(paragraph: dict[str, Any], images: tuple[str | bytes, ...], line: int) -> Record | Post:
    raw = paragraph.get("raw")
    if is_empty(raw):
        paragraph = {key: value for key, value in paragraph.items() if key != "raw"}
    try:
        (doc,) = json_to_docs(json.dumps([{"paragraphs": [paragraph]}]).encode())
    except Exception as error:  # spaCy's reader expects every key, type and tag to be right
        raise ValueError(f"spaCy's reader can't read a paragraph: {type(error).__name__}: {error}") from error
    if is_empty(raw):
        return Post(tuple(token.text for token in doc), tuple(map(_tag, doc)), None, line, images)
    text = parse_text(raw, "raw")
    unread = unread_keys(paragraph, ("sentences",))
    if not doc.has_annotation("ENT_IOB"):
        return Record(text, images, None, line, unread=unread)
    places = _places(text, doc)
    spans = tuple(CharSpan(places[ent.start][0], places[ent.end - 1][1], ent.label_) for ent in doc.ents)
    unknown = tuple(places[token.i] for token in doc if token.ent_iob_ == "")
    return Record(text, images, spans, line, unknown=unknown, unread=unread)


def _places(text: str, doc: Doc) -> list[tuple[int, int]]:
    """RETURNS (list[tuple[int, int]]): Where each token begins and ends. spaCy's reader guesses single spaces."""
    places = []
    end = 0
    for token in doc:
        start = text.find(token.text, end)
        if start < 0 or text[end:start].strip():
            raise ValueError(f"the tokens of a paragraph are not those of its 'raw', {text[:60]!r}")
        end = start + len(token.text)
        places.append((start, end))
    return places


def _tag(token: Any) -> str:
    """RETURNS (str): The tag of a token; an empty one if nobody has annotated it."""
    return f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else token.ent_iob_
