"""Lists of spans in JSON: objects with a start and an end, or lists such as [0, 5, "LOC"]."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from spacy_bga.corpus.cells import is_empty, parse_offset
from spacy_bga.corpus.offsets import CharSpan, utf16_length

STARTS = ("start", "start_offset", "start_char", "begin")
ENDS = ("end", "end_offset", "end_char", "stop")
LABELS = ("label", "labels", "entity_group", "entity", "tag", "type", "category", "class")
# What tokenizers add to an export: they have places too, and are no entities.
_NOT_ENTITIES = ("tokens", "sents")


def parse_spans(value: Any, text: str, key: str = "spans") -> tuple[CharSpan, ...] | None:
    """Read a list of spans.

    value (Any): The list. text (str): The text that they are in. key (str): Its key, for messages.
    RETURNS (tuple[CharSpan, ...] | None): The spans; None if there is no list: nobody has annotated the text.
    RAISES (ValueError): It is no list, or one of its items is no span of the text.
    """
    if not isinstance(value, list) and is_empty(value):
        return None
    if not isinstance(value, list):
        raise ValueError(f"'{key}' is not a list")
    length = len(text)
    units = utf16_length(text)
    return tuple(span for item in value for span in _parse(item, length, units))


def unread_keys(data: Mapping[str, Any], known: Collection[str]) -> tuple[str, ...]:
    """Find keys that hold spans and that nobody is going to read.

    data (Mapping[str, Any]): An object. known (Collection[str]): The keys that are read.
    RETURNS (tuple[str, ...]): The others with spans.
    """
    return tuple(
        key for key, value in data.items() if key not in known and key not in _NOT_ENTITIES and holds_spans(value)
    )


def holds_spans(value: Any) -> bool:
    """RETURNS (bool): Whether a value is, or has in it, a list of spans that is not empty."""
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list) and item]
        # {"entities": [[0, 5, "LOC"]]}, or the places by label: {"LOC": [[0, 5]]}.
        return any(holds_spans(item) or all(_is_pair(pair) for pair in item) for item in lists)
    return isinstance(value, list) and bool(value) and all(_is_span(item) for item in value)


def _is_pair(item: Any) -> bool:
    return isinstance(item, list) and len(item) == 2 and all(parse_offset(offset) is not None for offset in item)


def _is_span(item: Any) -> bool:
    if isinstance(item, list):
        numbers = [part for part in item if parse_offset(part) is not None]
        return len(item) >= 3 and len(numbers) >= 2 and any(isinstance(part, str) for part in item)
    if not isinstance(item, dict):
        return False
    if isinstance(value := item.get("value"), dict):  # Label Studio's results
        return _is_span(value)
    return (
        parse_offset(_first(item, STARTS)) is not None
        and parse_offset(_first(item, ENDS)) is not None
        and bool(_labels(_first(item, LABELS)))
    )


def _parse(item: Any, length: int, units: int) -> list[CharSpan]:
    if isinstance(item, list) and len(item) >= 3:
        item = {"start": item[0], "end": item[1], "label": item[2]}
    if not isinstance(item, dict):
        raise ValueError(f'the span {item!r} is neither an object nor a list such as [0, 5, "LABEL"]')
    first, last = _first(item, STARTS), _first(item, ENDS)
    start, end = parse_offset(first), parse_offset(last)
    # Offsets in UTF-16 units go beyond the characters; whether they are such is seen where the span's text is known.
    if start is None or end is None or not 0 <= start < end <= units:
        raise ValueError(f"the span {first!r} to {last!r} is not inside the text, which has {length} characters")
    labels = _labels(_first(item, LABELS))
    if not labels:
        raise ValueError(f"the span {start} to {end} has no label")
    own = item.get("text")
    own = own if isinstance(own, str) and own.strip() else None
    for label in labels:
        label.encode("utf-8")
    return [CharSpan(start, end, label, own) for label in labels]


def _first(item: Mapping[str, Any], keys: Collection[str]) -> Any:
    return next((item[key] for key in keys if not is_empty(item.get(key))), None)


def _labels(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [label for label in values if isinstance(label, str) and label]
