"""JSONL: one text with its image on a line, with or without entity spans.

{"text": "Kawhi Leonard wins", "image": "photos/1.jpg", "spans": [{"start": 0, "end": 13, "label": "PER"}]}
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.tokens import Doc, Span
from spacy.util import filter_spans

from spacy_bga.errors import BGAError, Errors


@dataclass(frozen=True)
class CharSpan:
    """An entity by its characters: `text[start:end]`, and its label."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class Record:
    """One line of a JSONL file.

    text (str): The text.
    images (tuple[str, ...]): Relative paths: the image first, then its crops.
    spans (tuple[CharSpan, ...] | None): Its entities; empty: it has none; None: nobody has annotated it.
    line (int): The number of the line.
    """

    text: str
    images: tuple[str, ...]
    spans: tuple[CharSpan, ...] | None
    line: int


@dataclass(frozen=True)
class SpanCounts:
    """What happened to a record's spans: how many fit no tokens, how many overlapped a longer one."""

    misaligned: int = 0
    overlapping: int = 0


def read_jsonl(path: Path, *, on_bad_line: Callable[[BGAError], None] | None = None) -> Iterator[Record]:
    """Read the records of a file.

    path (Path): The file.
    on_bad_line (Callable | None): Called with the error of a line that cannot be used, which is then left out.
        None: the error is raised.
    YIELDS (Record): The records.
    RAISES (BGAError): A line that cannot be used; the message names file and line.
    """
    with path.open("rb") as file:
        yield from parse_jsonl(file, name=str(path), on_bad_line=on_bad_line)


def parse_jsonl(
    lines: Iterable[bytes], *, name: str = "<lines>", on_bad_line: Callable[[BGAError], None] | None = None
) -> Iterator[Record]:
    """Parse the lines of a file, see `read_jsonl`.

    lines (Iterable[bytes]): The lines.
    name (str): The file's name, for messages.
    on_bad_line (Callable | None): What to do with a bad line's error instead of raising it.
    YIELDS (Record): The records.
    RAISES (BGAError): A line that cannot be used.
    """
    for number, raw in enumerate(lines, start=1):
        if not raw.strip():
            continue
        try:
            yield _parse(raw.decode("utf-8-sig" if number == 1 else "utf-8"), number)
        except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeError are ValueErrors
            problem = BGAError(Errors.B320.format(path=name, line=number, reason=error))
            if on_bad_line is None:
                raise problem from error
            on_bad_line(problem)


def record_to_doc(
    record: Record, make_doc: Callable[[str], Doc], *, label_map: Mapping[str, str] | None = None
) -> tuple[Doc, SpanCounts]:
    """Make a document of a record.

    A span that does not end at token borders is neither an entity nor its absence: its tokens are marked as not
    annotated. Of overlapping spans the longest counts; what the others have beyond it is marked likewise.

    record (Record): The record.
    make_doc (Callable[[str], Doc]): A tokenizer.
    label_map (Mapping[str, str] | None): Old labels and their new names.
    RETURNS (tuple[Doc, SpanCounts]): The document, without any entity annotation if the record has none, and what
        happened to its spans.
    """
    doc = make_doc(record.text)
    if record.spans is None:
        return doc, SpanCounts()
    aligned: list[Span] = []
    unknown: set[int] = set()
    for span in record.spans:
        label = (label_map or {}).get(span.label, span.label)
        exact = doc.char_span(span.start, span.end, label=label)
        if exact is None:
            touched = doc.char_span(span.start, span.end, alignment_mode="expand")
            unknown.update(token.i for token in touched or ())
        else:
            aligned.append(exact)
    misaligned = len(record.spans) - len(aligned)
    entities = filter_spans(aligned)
    unknown.update(token.i for span in aligned for token in span)
    unknown.difference_update(token.i for span in entities for token in span)
    doc.set_ents(entities, missing=[doc[i : i + 1] for i in sorted(unknown)], default="outside")
    return doc, SpanCounts(misaligned, len(aligned) - len(entities))


def _parse(line: str, number: int) -> Record:
    data = json.loads(line)
    if not isinstance(data, dict):
        raise ValueError("it is not a JSON object")
    text = data.get("text")
    if not isinstance(text, str):
        raise ValueError("'text' is not a string")
    text.encode("utf-8")  # a lone surrogate, which JSON can spell, would fail much later in the vocabulary
    return Record(text, _parse_images(data.get("image")), _parse_spans(data.get("spans"), len(text)), number)


def _parse_images(value: Any) -> tuple[str, ...]:
    items = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) and item for item in items):
        raise ValueError("'image' is neither a path nor a list of paths")
    return tuple(items)


def _parse_spans(value: Any, length: int) -> tuple[CharSpan, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise ValueError("'spans' is not a list")
    spans = []
    for item in value:
        if not isinstance(item, dict):
            raise ValueError(f"the span {item!r} is not an object")
        start, end, label = item.get("start"), item.get("end"), item.get("label")
        if type(start) is not int or type(end) is not int or not 0 <= start < end <= length:
            raise ValueError(f"the span {start!r} to {end!r} is not inside the text, which has {length} characters")
        if not isinstance(label, str) or not label:
            raise ValueError(f"the span {start} to {end} has no label")
        label.encode("utf-8")
        spans.append(CharSpan(start, end, label))
    return tuple(spans)
