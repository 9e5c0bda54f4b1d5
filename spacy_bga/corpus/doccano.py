"""Doccano's export: JSONL with lists of labels, https://doccano.github.io/doccano/tutorial/.

{"id": 1, "text": "Paris is nice", "label": [[0, 5, "LOC"]]}
"""

from __future__ import annotations

from typing import Any

from spacy_bga.corpus.cells import parse_text
from spacy_bga.corpus.jsonl import images_of
from spacy_bga.corpus.record import Record
from spacy_bga.corpus.span_list import holds_spans, parse_spans, unread_keys

# By its versions: "label" since 1.5, "labels" before, "entities" where relations are exported too.
_KEYS = ("label", "labels", "entities")


def is_doccano(data: dict[str, Any]) -> bool:
    """RETURNS (bool): Whether an object is one of Doccano's, or written like one."""
    return "spans" not in data and any(_is_list_of_spans(data.get(key)) for key in _KEYS)


def parse_doccano(data: dict[str, Any], line: int) -> Record:
    """Read an object.

    data (dict[str, Any]): The object. line (int): The line on which it begins.
    RETURNS (Record): The text; not annotated if it has none of the keys.
    RAISES (ValueError): It can't be used.
    """
    text = parse_text(data["text"] if "text" in data else data.get("data"))
    found = [key for key in _KEYS if isinstance(data.get(key), list)]
    lists = [parse_spans(data[key], text, key) or () for key in found]
    spans = tuple(span for part in lists for span in part) if found else None
    return Record(text, images_of(data), spans, line, unread=unread_keys(data, _KEYS))


def _is_list_of_spans(value: Any) -> bool:
    return isinstance(value, list) and (not value or holds_spans(value))
