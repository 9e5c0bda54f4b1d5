"""The objects of a JSON file, however they are laid out: one on each line, in an array, or over many lines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

OnBad = Callable[[int, ValueError], None]

# Of a file that is cut in the middle or has a quotation mark too few, a reader looks so often for where it goes on.
MAX_RESTARTS = 100
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_BOM = b"\xef\xbb\xbf"


def json_items(path: Path, on_bad: OnBad) -> Iterator[tuple[int, Any]]:
    """Read the objects of a file. One that can't be read costs none of the others.

    path (Path): The file.
    on_bad (Callable): Called with the line and the error of what can't be read.
    YIELDS (tuple[int, Any]): The line on which an object begins, and the object.
    """
    with path.open("rb") as file:
        first = next((line for line in file if line.strip()), b"")
        file.seek(0)
        yield from _lines(file, on_bad) if _is_whole(first) else _document(file, on_bad)


def _is_whole(line: bytes) -> bool:
    """Whether the first line of a file is an object of its own. Broken ones are, if they end like one."""
    line = line.removeprefix(_BOM).strip()
    if not line.startswith(b"{"):
        return not line.startswith(b"[") or (line.endswith(b"]") and _is_item(line))
    return line != b"{" and (line.endswith(b"}") or _parses(line) is not None)


def _is_item(line: bytes) -> bool:
    """Whether a list on one line is an example, [TEXT, {...}], and no array of objects."""
    value = _parses(line)
    return isinstance(value, list) and bool(value) and isinstance(value[0], str)


def _parses(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _lines(file: IO[bytes], on_bad: OnBad) -> Iterator[tuple[int, Any]]:
    for number, raw in enumerate(file, start=1):
        if not raw.strip():
            continue
        try:
            yield number, parse_json(raw.decode("utf-8-sig" if number == 1 else "utf-8"))
        except ValueError as error:
            on_bad(number, error)


def parse_json(text: str) -> Any:
    """RETURNS (Any): What a text holds. RAISES (ValueError): It is no JSON, or too deep."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(str(error)) from error


def _document(file: IO[bytes], on_bad: OnBad) -> Iterator[tuple[int, Any]]:
    text = file.read().removeprefix(_BOM).decode("utf-8", "surrogateescape")
    whole = text.strip()
    try:
        data = parse_json(whole)
    except ValueError as error:
        if "{" not in text:
            on_bad(1, error)
        yield from _parts(text, on_bad)
        return
    if isinstance(data, list) and not (data and isinstance(data[0], str)):
        starts = [start for start, _ in _extents(text)]
        # Numbers and strings among the objects have no brackets: then lines are not known, but nothing is lost.
        known = starts if len(starts) == len(data) else [0] * len(data)
        yield from zip(_line_numbers(text, known), data, strict=True)
    else:
        yield 1, data


def _parts(text: str, on_bad: OnBad) -> Iterator[tuple[int, Any]]:
    """Read the objects of a document one by one, as it can't be read as a whole."""
    position = text.find("{")
    margin = re.search(r"^[ \t]*\{", text, re.MULTILINE)
    again = re.compile(rf"^{re.escape(margin[0])}", re.MULTILINE) if margin else None
    number, counted = 1, 0
    restarts = 0
    while position >= 0:
        number += text.count("\n", counted, position)
        counted = position
        end = next((end for start, end in _extents(text, position)), None)
        try:
            yield number, parse_json(text[position:end])
        except ValueError as error:
            on_bad(number, error)
            restarts += end is None
            following = again.search(text, position + 1) if again and restarts <= MAX_RESTARTS else None
            # A record with a bracket too few would take the next ones with it: those begin at its own margin.
            if following is not None:
                end = following.start() if end is None else min(end, following.start())
        position = -1 if end is None else text.find("{", end)


def _extents(text: str, position: int = 0) -> Iterator[tuple[int, int]]:
    """YIELDS (tuple[int, int]): Where the objects and lists of a document begin and end; one array around is open."""
    depth = 0
    outer = -1 if position else text.find("[")
    if outer < 0 or text[:outer].strip():
        outer = -1
    start = position
    for match in _STRUCTURE.finditer(text, position if outer < 0 else outer + 1):
        if match[0] in "[{":
            start = match.start() if depth == 0 else start
            depth += 1
        elif match[0] in "]}":
            depth -= 1
            if depth == 0:
                yield start, match.end()
            elif depth < 0:
                return


def _line_numbers(text: str, starts: list[int]) -> Iterator[int]:
    number, counted = 1, 0
    for start in starts:
        number += text.count("\n", counted, start)
        counted = start
        yield number


def first_bytes(path: Path, size: int = 256) -> bytes:
    """RETURNS (bytes): The first bytes of a file that are no white space, without a byte order mark."""
    with path.open("rb") as file:
        return file.read(size).removeprefix(_BOM).lstrip()
