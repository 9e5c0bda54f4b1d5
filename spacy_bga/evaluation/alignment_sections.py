"""Sections of the results page about what was learnt from image-text pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spacy_bga.evaluation.averages import look_up, mean
from spacy_bga.evaluation.markdown import NONE, number, table
from spacy_bga.evaluation.records import Record

DIRECTIONS = {"t2i": "text → image", "i2t": "image → text"}
RETRIEVAL = (
    "Image-text pairs that no run was trained on: how often, in percent, the generated features of a text find its own "
    "image first, or among the first 5 or 10 of all, and the other way round. Intervals are of resampled texts. Means "
    "over seeds, those of the intervals' bounds too.\n"
)
FEATURES = (
    "Explained: the share of the variance of real visual features around the mean image that generated ones explain, "
    "as the aligner sees them (standardised, whitened or neither): as they are and with the best contrast; 0 is the "
    "mean image, less is worse. Kept: the share of tokens and patches that each BGA layer keeps. Replaced: 1 - cosine "
    "between the features that a text generates before and after an entity, another word, or the whole text is "
    "replaced.\n"
)
SWAPS = ("entity", "word", "other_text")


def alignment_sections(groups: Mapping[str, Sequence[Record]]) -> list[str]:
    """RETURNS (list[str]): The sections, if the alignment of any run was measured."""
    measured = [
        (name, list(group), pairs)
        for name, group in groups.items()
        for pairs in dict.fromkeys(key for record in group for key in record.get("alignment") or {})
    ]
    if not measured:
        return []
    return ["### Alignment\n", RETRIEVAL, _retrieval(measured), FEATURES, _features(measured)]


def _retrieval(measured: Sequence[tuple[str, list[Record], str]]) -> str:
    rows: list[list[Any]] = []
    for name, group, pairs in measured:
        for direction, title in DIRECTIONS.items():
            place = ("alignment", pairs, direction)
            hits = [number(mean(group, *place, key)) for key in ("r1", "r5", "r10")]
            bounds = " to ".join(number(mean(group, *place, "r10_ci", bound)) for bound in (0, 1))
            others = [number(mean(group, *place, key)) for key in ("chance_r10", "median_rank")]
            n = number(mean(group, *place, "n"), 0)
            rows.append([f"`{name}`", pairs, title, len(group), n, *hits, bounds, *others])
    titles = ["Run", "Pairs", "Direction", "Seeds", "n", "R@1", "R@5", "R@10", "95 %", "Chance", "Median rank"]
    return table(titles, rows, left=3)


def _features(measured: Sequence[tuple[str, list[Record], str]]) -> str:
    rows = []
    for name, group, pairs in measured:
        place = ("alignment", pairs)
        explained = [mean(group, *place, f"explained_{kind}", digits=3) for kind in ("beyond_mean", "when_scaled")]
        kept = [_layers(group, *place, f"keep_{kind}") for kind in ("text", "visual")]
        swaps = [number(mean(group, *place, "entity_swap", kind, digits=3), 3) for kind in SWAPS]
        rows.append([f"`{name}`", pairs, *(number(value, 3) for value in explained), *kept, *swaps])
    titles = ["Run", "Pairs", "Explained", "Best contrast", "Kept of the text", "Kept of the image"]
    return table([*titles, "Entity replaced", "Word replaced", "Text replaced"], rows, left=2)


def _layers(group: Sequence[Record], *keys: str) -> str:
    layers = range(len(look_up(group[0], *keys) or []))
    return ", ".join(number(mean(group, *keys, layer)) for layer in layers) or NONE
