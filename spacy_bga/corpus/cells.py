"""Values as spreadsheets, data frames and annotation tools leave them in JSON."""

from __future__ import annotations

from typing import Any


def is_empty(value: Any) -> bool:
    """RETURNS (bool): Whether a value is an empty cell: null, NaN, or a text of nothing but white space."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def parse_text(value: Any, key: str = "text") -> str:
    """Read a text.

    value (Any): The value. key (str): Its key, for messages.
    RETURNS (str): The text.
    RAISES (ValueError): It is none, or holds half of a character.
    """
    if not isinstance(value, str):
        raise ValueError(f"'{key}' is not a string")
    value.encode("utf-8")  # a lone surrogate, which JSON can spell, would fail much later in the vocabulary
    return value


def parse_images(value: Any) -> tuple[str | bytes, ...]:
    """Read the pictures of a text: one or a list; empty cells are none.

    value (Any): The value.
    RETURNS (tuple[str | bytes, ...]): Paths or `data:` URIs.
    RAISES (ValueError): It is neither a path nor a list of paths.
    """
    items = value if isinstance(value, list) else [value]
    images = [item for item in items if not is_empty(item)]
    if not all(isinstance(item, str) for item in images):
        raise ValueError("'image' is neither a path nor a list of paths")
    return tuple(images)


def parse_offset(value: Any) -> int | None:
    """Read an offset. Columns with an empty cell turn all their numbers into floats.

    value (Any): The value.
    RETURNS (int | None): The offset; None if it is no whole number.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else None
