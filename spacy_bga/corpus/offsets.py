"""Spans by their characters, and what annotation tools count as one.

Tools that run in a browser count UTF-16 units, as JavaScript does: an emoji is two of them, and Python's one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal

Offsets = Literal["auto", "characters", "utf-16"]

_WIDE = re.compile("[\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class CharSpan:
    """An entity by its characters: `text[start:end]`, its label, and its text where the source repeats it."""

    start: int
    end: int
    label: str
    text: str | None = None


@dataclass(frozen=True)
class Settled:
    """The spans of a text, by characters.

    spans (tuple[CharSpan, ...]): Those that are inside the text, and whose own text stands there.
    lost (tuple[CharSpan, ...]): Those whose own text stands elsewhere, more than once or nowhere.
    shifted (int): How many counted UTF-16 units. moved (tuple[CharSpan, ...]): Those found by their own text.
    """

    spans: tuple[CharSpan, ...]
    lost: tuple[CharSpan, ...] = ()
    shifted: int = 0
    moved: tuple[CharSpan, ...] = ()


def has_wide(text: str) -> bool:
    """RETURNS (bool): Whether a text has characters that are two UTF-16 units, such as emoji."""
    return _WIDE.search(text) is not None


def utf16_length(text: str) -> int:
    """RETURNS (int): The length of a text in UTF-16 units."""
    return len(text) + len(_WIDE.findall(text))


def unit_positions(text: str) -> dict[int, int]:
    """RETURNS (dict[int, int]): The places of all characters, and of the end, by their places in UTF-16 units."""
    sizes = (2 if character > "\uffff" else 1 for character in text)
    return {units: place for place, units in enumerate(accumulate(sizes, initial=0))}


def to_characters(positions: Mapping[int, int], span: CharSpan) -> CharSpan | None:
    """Turn offsets in UTF-16 units into offsets in characters.

    positions (Mapping[int, int]): The text's `unit_positions`. span (CharSpan): The span.
    RETURNS (CharSpan | None): The span; None if it ends within a character, or outside the text.
    """
    start, end = positions.get(span.start), positions.get(span.end)
    return None if start is None or end is None else replace(span, start=start, end=end)


def trim(text: str, span: CharSpan) -> CharSpan | None:
    """Leave out the white space at a span's ends.

    text (str): The text. span (CharSpan): The span.
    RETURNS (CharSpan | None): The span without it; None if it holds nothing else, though it is inside the text.
    """
    inside = text[span.start : span.end]
    if not inside:  # outside of the text: nothing is known of it
        return span
    if not (bare := inside.strip()):
        return None
    start = span.start + len(inside) - len(inside.lstrip())
    # What reaches beyond the text is not mended by what is missing.
    end = span.end if len(inside) < span.end - span.start else start + len(bare)
    return replace(span, start=start, end=end)


def settle(text: str, spans: Sequence[CharSpan], offsets: Offsets = "auto") -> Settled:
    """Find where spans are, by what their offsets count and by their own texts, where they have any.

    text (str): The text. spans (Sequence[CharSpan]): Its spans.
    offsets (str): "characters", "utf-16", or "auto": characters, unless the spans' own texts fit better otherwise.
    RETURNS (Settled): The spans by characters.
    """
    found = list(spans)
    shifted = 0
    if has_wide(text) and offsets != "characters":
        positions = unit_positions(text)
        others = [to_characters(positions, span) for span in spans]
        if offsets == "utf-16" or _fitting(text, others) > _fitting(text, spans):
            found = [other or span for other, span in zip(others, spans, strict=True)]
            shifted = sum(other != span for other, span in zip(found, spans, strict=True))
    kept, lost, moved = [], [], []
    for span in found:
        if span.text is None or _fits(text, span):
            kept.append(span)
        elif (place := _only_place(text, span.text)) is not None:
            moved.append(replace(span, start=place, end=place + len(span.text)))
            kept.append(moved[-1])
        else:
            lost.append(span)
    return Settled(tuple(kept), tuple(lost), shifted, tuple(moved))


def _fitting(text: str, spans: Sequence[CharSpan | None]) -> int:
    return sum(span is not None and span.text is not None and _fits(text, span) for span in spans)


def _fits(text: str, span: CharSpan) -> bool:
    """Whether a span's own text stands at its place. Tools write line ends and several spaces as they like."""
    there = text[span.start : span.end]
    return span.end <= len(text) and (there == span.text or there.split() == (span.text or "").split())


def _only_place(text: str, part: str) -> int | None:
    """RETURNS (int | None): Where a part stands, if it is there exactly once."""
    place = text.find(part) if part.strip() else -1
    return place if place >= 0 and text.find(part, place + 1) < 0 else None
