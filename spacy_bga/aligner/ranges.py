"""Which values the settings of an aligner may have: what a config or a saved pipeline says is not to be believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spacy_bga.errors import BGAError, Errors

MOST_LABELS = 1000
"""The CRF has a score for each pair of tags."""
MOST_VISUAL_TOKENS = 4096
"""A generator's queries attend to each other."""


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`. whole (bool): Whole ones only. optional (bool): Or none at all.
    above (bool): `low` itself is not one of them."""

    low: float
    high: float
    whole: bool = False
    optional: bool = False
    above: bool = False

    def __contains__(self, value: Any) -> bool:
        if value is None:
            return self.optional
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        return (self.low < value if self.above else self.low <= value) and value <= self.high  # NaN is in none

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        bound = "above" if self.above else "from"
        return f"{kind} {bound} {self.low:g} to {self.high:g}{' or null' if self.optional else ''}"


COUNT = Range(0, 64, whole=True)
GRID = Range(0, 64, whole=True, optional=True)
WIDTH = Range(1, 65536, whole=True)
NUMBER, WHOLE = Range(-1e6, 1e6), Range(-65536, 65536, whole=True)  # where another message says more
LAYER = Range(0, 1000, whole=True)
WEIGHT = Range(0, 1e6)
TEMPERATURE = Range(0, 1e6, above=True)
SHARE = Range(0, 1)

RANGES = {
    "visual_grid": GRID,
    "max_crops": COUNT,
    "crop_grid": GRID,
    "window": WHOLE,
    "overlap": WHOLE,
    "generator_heads": Range(1, 1024, whole=True, optional=True),
    "generator_width": Range(1, 65536, whole=True, optional=True),
    "sampler_width": WIDTH,
    "gumbel_temperature": TEMPERATURE,
    "distance_temperature": TEMPERATURE,
    "contrast_temperature": TEMPERATURE,
    "word_width": WIDTH,
    "word_components": Range(1, 4096, whole=True),
    "mask_id": Range(0, 10**9, whole=True),
    "word_weight": WEIGHT,
    "word_temperature": TEMPERATURE,
    "recon_weight": WEIGHT,
    "cycle_weight": WEIGHT,
    "ratio_weight": WEIGHT,
    "contrast_weight": WEIGHT,
    "text_to_visual": WEIGHT,
    "visual_to_text": WEIGHT,
    "real_context": SHARE,
    "context_gate": Range(-1e6, 1e6, optional=True),
    "dropout": SHARE,
    "image_size": Range(1, 4096, whole=True),
    "n_visual_tokens": Range(0, MOST_VISUAL_TOKENS, whole=True),
}
ITEMS = {
    "text_layers": LAYER,
    "vision_layers": LAYER,
    "keep_text": NUMBER,
    "keep_visual": NUMBER,
    "image_mean": NUMBER,
    "image_std": Range(0, 1e6, above=True),
}
SWITCHES = (
    "words",
    "shared_generators",
    "projections",
    "standardize",
    "whiten",
    "sample",
    "detach_targets",
    "train_vision",
    "visual_branch",
)


def check_ranges(settings: Mapping[str, Any]) -> None:
    """Check the values of an aligner's settings.

    settings (Mapping[str, Any]): Those of a `BGAConfig`, by name; sequences as tuples.
    RAISES (BGAError): One is of another type, or out of its range.
    """
    for name, allowed in RANGES.items():
        if settings[name] not in allowed:
            _refuse(name, settings[name], str(allowed))
    for name, allowed in ITEMS.items():
        if not isinstance(settings[name], tuple) or any(value not in allowed for value in settings[name]):
            _refuse(name, settings[name], f"a list, each {allowed}")
    for name in ("image_mean", "image_std"):
        if len(settings[name]) != 3:
            _refuse(name, settings[name], "three numbers, one for each colour")
    for name in SWITCHES:
        if not isinstance(settings[name], bool):
            _refuse(name, settings[name], "true or false")
    for name in ("text", "vision"):
        if not isinstance(settings[name], dict) and (name == "text" or settings[name] is not None):
            _refuse(name, settings[name], "the configuration of an encoder")
    labels = settings["labels"]
    named = isinstance(labels, tuple) and all(isinstance(label, str) and label for label in labels)
    if not named or len(labels) > MOST_LABELS:
        _refuse("labels", labels, f"a list of at most {MOST_LABELS:,} names")


def _refuse(name: str, value: Any, expected: str) -> None:
    raise BGAError(Errors.B723.format(name=name, value=repr(value)[:80], expected=expected))
