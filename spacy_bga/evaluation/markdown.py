"""Tables and numbers in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

NONE = "–"


def table(titles: Sequence[str], rows: Iterable[Sequence[Any]], *, left: int = 1) -> str:
    """RETURNS (str): A Markdown table whose first `left` columns are flush left, the others right."""
    marks = ["---" if place < left else "--:" for place in range(len(titles))]
    lines = [titles, marks, *([NONE if cell is None else str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def number(value: float | None, digits: int = 2) -> str:
    """RETURNS (str): A number with two decimals, or a dash."""
    return NONE if value is None else f"{value:.{digits}f}"


def seconds(value: float | None) -> str:
    """RETURNS (str): Whole seconds, or a dash."""
    return NONE if value is None else f"{value:,.0f}"


def signed(value: float, digits: int = 2) -> str:
    """RETURNS (str): A difference with its sign; 0 has none."""
    rounded = round(value, digits)
    return f"{rounded:+.{digits}f}" if rounded else f"{0:.{digits}f}"


def interval(bounds: Sequence[float] | None) -> str:
    """RETURNS (str): The bounds of the interval of a difference, or a dash."""
    return NONE if bounds is None else f"{signed(bounds[0])} to {signed(bounds[1])}"


def text(value: Any) -> str:
    """RETURNS (str): Text for the cell of a table."""
    return " ".join(str(value).split()).replace("|", "\\|")
