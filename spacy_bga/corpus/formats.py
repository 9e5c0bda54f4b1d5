"""Which format a file has: as a whole, and, if it is JSON, each of its objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from spacy_bga.corpus.brat import is_brat
from spacy_bga.corpus.conll import Post
from spacy_bga.corpus.doccano import is_doccano, parse_doccano
from spacy_bga.corpus.hugging_face import is_hugging_face
from spacy_bga.corpus.json_items import first_bytes, json_items
from spacy_bga.corpus.jsonl import parse_record
from spacy_bga.corpus.label_studio import (
    is_label_studio,
    is_label_studio_min,
    parse_label_studio,
    parse_label_studio_min,
)
from spacy_bga.corpus.prodigy import is_prodigy, parse_prodigy
from spacy_bga.corpus.record import LeftOut, Record
from spacy_bga.corpus.spacy_json import is_spacy_json, parse_spacy_json
from spacy_bga.errors import BGAError, Errors

Format = Literal[
    "auto",
    "conll",
    "jsonl",
    "prodigy",
    "doccano",
    "label-studio",
    "label-studio-min",
    "spacy-json",
    "brat",
    "hf",
]
"""What `convert` reads. "auto" is found out, of JSON for each object of a file."""

Item = Record | Post | LeftOut

_PARSERS: dict[str, Callable[[Any, int], Item | Iterator[Item]]] = {
    "jsonl": parse_record,
    "prodigy": parse_prodigy,
    "doccano": parse_doccano,
    "label-studio": parse_label_studio,
    "label-studio-min": parse_label_studio_min,
    "spacy-json": parse_spacy_json,  # type: ignore[dict-item]
}
FOLDER_FORMATS = ("brat", "hf")
JSON_FORMATS = ("json", *_PARSERS)
# In this order: Prodigy's tasks may have keys of others in them, and any object may be plain JSONL.
_RECOGNISED: tuple[tuple[str, Callable[[dict[str, Any]], bool]], ...] = (
    ("spacy-json", is_spacy_json),
    ("label-studio", is_label_studio),
    ("prodigy", is_prodigy),
    ("label-studio-min", is_label_studio_min),
    ("doccano", is_doccano),
)
# A CoNLL file may begin with the token "[", but then a tag follows.
_ARRAY = re.compile(rb'\[\s*([\[{"\]]|$)')


def detect_format(source: Path) -> str | None:
    """Find out the format of a file or folder.

    source (Path): The file or folder.
    RETURNS (str | None): "conll", "json" (each object says more), "brat" or "hf"; None: a folder of neither.
    """
    if is_brat(source):
        return "brat"
    if is_hugging_face(source):
        return "hf"
    if source.is_dir():
        return None
    if source.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        return "json"
    first = first_bytes(source)
    return "json" if first.startswith(b"{") or _ARRAY.match(first) else "conll"


def recognise(data: Any) -> str:
    """RETURNS (str): The format of one object of a JSON file."""
    if isinstance(data, dict):
        return next((name for name, is_one in _RECOGNISED if is_one(data)), "jsonl")
    return "spacy-json" if is_spacy_json(data) else "jsonl"


def read_json(source: Path, format: str, on_bad_line: Callable[[BGAError], None] | None) -> Iterator[tuple[str, Item]]:
    """Read the texts of a JSON file.

    source (Path): The file. format (str): The format of all its objects; "json": each one's own.
    on_bad_line (Callable | None): Called with the error of an object that can't be used. None: the error is raised.
    YIELDS (tuple[str, Record | Post | LeftOut]): Formats and texts.
    RAISES (BGAError): An object that can't be used; the message names file and line.
    """

    def bad(line: int, error: Exception, name: str = "jsonl") -> None:
        reason = "its structure is that of no export" if isinstance(error, RecursionError) else error
        message = Errors.B320 if name in ("jsonl", "json") else Errors.B322
        problem = BGAError(message.format(path=source, line=line, reason=reason, format=name))
        if on_bad_line is None:
            raise problem from error
        on_bad_line(problem)

    for line, data in json_items(source, bad):
        name = recognise(data) if format == "json" else format
        try:
            for item in _items(_PARSERS[name], data, line):
                yield name, item
        except ValueError as error:
            bad(line, error, name)
        except (TypeError, LookupError, AttributeError) as error:
            bad(line, ValueError(f"it is not as that format has it ({type(error).__name__}: {error})"), name)


def _items(parse: Callable[[Any, int], Item | Iterator[Item]], data: Any, line: int) -> Iterable[Item]:
    found = parse(data, line)
    return [found] if isinstance(found, Item) else found
