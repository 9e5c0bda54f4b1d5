"""Colours of labels: displaCy's where it has one, and text that can be read on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from PIL import ImageColor
from spacy.displacy import EntityRenderer

# For labels that displaCy has no colour for, light enough for dark text.
PALETTE = ("#ffd76e", "#8fdcb0", "#ffb3c1", "#a5d8ff", "#e2c2a4", "#d0ebad", "#e5b8f4", "#c9ccd4")
ALIASES = {"PER": "PERSON"}  # the benchmarks' name of what displaCy knows
DARK, LIGHT = "#000000", "#ffffff"  # any other dark is too light for some backgrounds


def label_colors(labels: Iterable[str], colors: Mapping[str, str] | None = None) -> dict[str, str]:
    """Choose a colour for each label.

    labels (Iterable[str]): The labels. colors (Optional[Mapping[str, str]]): Those that are wished for, by label.
    RETURNS (dict[str, str]): A CSS colour for each label; displaCy's own and registered ones, else one of the palette.
    """
    known = EntityRenderer({"colors": dict(colors or {})}).colors
    named = {label: label.upper() for label in sorted(set(labels))}
    chosen = {
        label: color for label, name in named.items() if (color := known.get(name) or known.get(ALIASES.get(name, "")))
    }
    free = [color for color in PALETTE if color not in chosen.values()]
    others = (label for label in named if label not in chosen)
    return chosen | {label: (free or PALETTE)[number % len(free or PALETTE)] for number, label in enumerate(others)}


def text_color(background: str) -> str:
    """RETURNS (str): Dark or light text, whichever stands out more: at least 4.5 to 1. Dark on what isn't one colour,
    such as a gradient: displaCy's own text is dark."""
    try:
        red, green, blue = ImageColor.getrgb(background)[:3]
    except ValueError:
        return DARK
    own = luminance((red, green, blue))
    return DARK if contrast(own, luminance(ImageColor.getrgb(DARK))) >= contrast(own, 1.0) else LIGHT


def luminance(rgb: tuple[int, ...]) -> float:
    """RETURNS (float): The relative luminance of a colour as WCAG 2 defines it, from 0 (black) to 1 (white)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in rgb[:3])]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: float, other: float) -> float:
    """RETURNS (float): The contrast of two luminances as WCAG 2 defines it, from 1 to 21."""
    low, high = sorted((one, other))
    return (high + 0.05) / (low + 0.05)
