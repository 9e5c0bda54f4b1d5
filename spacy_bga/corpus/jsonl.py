"""JSONL: one text with its image on a line, with or without entity spans.

{"text": "Kawhi Leonard wins", "image": "photos/1.jpg", "spans": [{"start": 0, "end": 13, "label": "PER"}]}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from spacy_bga.corpus.cells import parse_images, parse_text
from spacy_bga.corpus.json_items import parse_json
from spacy_bga.corpus.record import Record
from spacy_bga.corpus.span_list import parse_spans, unread_keys
from spacy_bga.errors import BGAError, Errors


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
            yield parse_record(parse_json(raw.decode("utf-8-sig" if number == 1 else "utf-8")), number)
        except ValueError as error:  # JSONDecodeError and UnicodeError are ValueErrors
            problem = BGAError(Errors.B320.format(path=name, line=number, reason=error))
            if on_bad_line is None:
                raise problem from error
            on_bad_line(problem)


def parse_record(data: Any, line: int) -> Record:
    """Read one object.

    data (Any): The object. line (int): The line on which it begins.
    RETURNS (Record): The text with its images and spans.
    RAISES (ValueError): It is no object, it has no text, or its image or spans can't be used.
    """
    if not isinstance(data, dict):
        raise ValueError("it is not a JSON object")
    text = parse_text(data.get("text"))
    spans = parse_spans(data.get("spans"), text)
    return Record(text, images_of(data), spans, line, unread=unread_keys(data, ("spans",)))


def images_of(data: dict[str, Any]) -> tuple[str | bytes, ...]:
    """RETURNS (tuple[str | bytes, ...]): The pictures of an object. RAISES (ValueError): They are no paths."""
    return parse_images(data.get("image")) or parse_images(data.get("images"))
