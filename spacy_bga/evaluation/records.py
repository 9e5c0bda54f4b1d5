"""JSON files that are whole or not there at all: what a run leaves behind."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from spacy_bga.errors import BGAError, Errors
from spacy_bga.whole_file import write_whole

Record = dict[str, Any]
"""What a run has left behind."""


def write_json(path: Path, data: Any) -> None:
    """Write a file by renaming a finished one, so that a killed process leaves no half of it.

    path (Path): The file, made with its folder. data (Any): What JSON can hold; a table in it, a list of lists, gets
        one line.
    """
    tables: dict[str, str] = {}
    text = json.dumps(_set_aside(data, tables), indent=2, ensure_ascii=False, allow_nan=False)
    for name, table in tables.items():
        text = text.replace(f'"{name}"', table)
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file as `write_json` does.

    path (Path): The file, made with its folder. text (str): Its content.
    """
    write_whole(path, text.encode("utf8"))


def _set_aside(data: Any, tables: dict[str, str]) -> Any:
    """Put a name in the place of each table, and its text into `tables`."""
    if isinstance(data, dict):
        return {key: _set_aside(value, tables) for key, value in data.items()}
    if not isinstance(data, list) or not data:
        return data
    if not all(isinstance(row, list) for row in data):
        return [_set_aside(value, tables) for value in data]
    name = uuid.uuid4().hex
    tables[name] = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return name


def read_json(path: Path) -> dict[str, Any] | None:
    """RETURNS (dict[str, Any] | None): What the file holds; None if there is no such file."""
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf8"))
    except ValueError as error:
        raise BGAError(Errors.B511.format(path=path, reason=error)) from error
    if not isinstance(data, dict):
        raise BGAError(Errors.B511.format(path=path, reason="it holds no object"))
    return data
