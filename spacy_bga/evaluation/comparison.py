"""What sets predicted entities apart from gold ones, counted as spaCy's scorer counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from spacy.attrs import ENT_IOB
from spacy.tokens import Doc, Span
from spacy.training import Example

Place = tuple[int, int]
"""Tokens of the gold document: the first one, and the one after the last."""


class Verdict(Enum):
    """What is to be said of an entity when predicted and gold ones are compared."""

    CORRECT = "correct"
    WRONG_LABEL = "wrong label"
    WRONG_BORDERS = "wrong borders"
    SPURIOUS = "not in gold"
    MISSED = "missed"
    UNKNOWN = "not annotated"  # gold doesn't say what these tokens are


@dataclass(frozen=True)
class Judgement:
    """A verdict on an entity.

    verdict (Verdict): The verdict. others (tuple[Span, ...]): Those of the other side: the one with its borders if its
        label is wrong, those that it overlaps if its borders are.
    place (Optional[tuple[int, int]]): Its tokens in the gold document; None if they aren't there.
    """

    verdict: Verdict
    others: tuple[Span, ...] = ()
    place: Place | None = None

    @property
    def is_error(self) -> bool:
        """RETURNS (bool): Whether it counts as an error."""
        return self.verdict not in (Verdict.CORRECT, Verdict.UNKNOWN)


@dataclass(frozen=True)
class Comparison:
    """The predicted and the gold entities of a text, judged in the order of `doc.ents`.

    predicted, gold (list[Judgement]): One for each entity.
    """

    predicted: list[Judgement]
    gold: list[Judgement]

    @property
    def wrong(self) -> int:
        """RETURNS (int): Predicted entities that aren't gold ones: spaCy's false positives."""
        return sum(judgement.is_error for judgement in self.predicted)

    @property
    def lost(self) -> int:
        """RETURNS (int): Gold entities that weren't predicted as they are: spaCy's false negatives."""
        return sum(judgement.is_error for judgement in self.gold)

    @property
    def correct(self) -> int:
        """RETURNS (int): Entities predicted as they are."""
        return sum(judgement.verdict is Verdict.CORRECT for judgement in self.gold)

    @property
    def errors(self) -> int:
        """RETURNS (int): False positives and false negatives. An entity with a wrong label is one of each."""
        return self.wrong + self.lost


def compare(doc: Doc, gold: Doc) -> Comparison | None:
    """Compare what `doc.ents` holds, by the tokens of the gold document, to which spaCy aligns those of the other.

    doc (Doc): The predicted entities. gold (Doc): The same text with its gold entities.
    RETURNS (Optional[Comparison]): None if nobody has annotated the text.
    """
    if not gold.has_annotation("ENT_IOB"):
        return None
    aligned = Example(doc, gold).alignment.x2y
    found = [_place(aligned[ent.start : ent.end]) for ent in doc.ents]
    there: list[Place | None] = [(ent.start, ent.end) for ent in gold.ents]
    pairs = _pair(found, [ent.label_ for ent in doc.ents], there, [ent.label_ for ent in gold.ents])
    missing = gold.to_array(ENT_IOB) == 0
    predicted = [
        Judgement(Verdict.UNKNOWN, place=place)
        if place is None or missing[slice(*place)].any()
        else _judge(ent, place, pairs.get(i), gold.ents, there, alone=Verdict.SPURIOUS)
        for i, (ent, place) in enumerate(zip(doc.ents, found, strict=True))
    ]
    back = {j: i for i, j in pairs.items()}
    annotated = [
        _judge(ent, (ent.start, ent.end), back.get(j), doc.ents, found, alone=Verdict.MISSED)
        for j, ent in enumerate(gold.ents)
    ]
    return Comparison(predicted, annotated)


def _place(tokens: np.ndarray) -> Place | None:
    """RETURNS (Optional[tuple[int, int]]): What spans these tokens of the gold document, if there are any."""
    return (int(tokens[0]), int(tokens[-1]) + 1) if len(tokens) else None


def _pair(
    found: Sequence[Place | None], found_labels: Sequence[str], there: Sequence[Place | None], labels: Sequence[str]
) -> dict[int, int]:
    """RETURNS (dict[int, int]): Predicted entities and the gold ones with their borders, each once: those with the same
    label first, as several predicted ones may lie in the same tokens of the gold document."""
    pairs: dict[int, int] = {}
    for same_label in (True, False):
        free = {place: j for j, place in enumerate(there) if j not in pairs.values()}
        for i, place in enumerate(found):
            if i not in pairs and place in free and (not same_label or found_labels[i] == labels[free[place]]):
                pairs[i] = free.pop(place)
    return pairs


def _judge(
    ent: Span,
    place: Place,
    partner: int | None,
    others: Sequence[Span],
    places: Sequence[Place | None],
    *,
    alone: Verdict,
) -> Judgement:
    """RETURNS (Judgement): On one entity. partner (Optional[int]): Which of the others has its borders.
    alone (Verdict): What it is if it overlaps no other."""
    if partner is not None:
        other = others[partner]
        return (
            Judgement(Verdict.CORRECT, (), place)
            if other.label_ == ent.label_
            else Judgement(Verdict.WRONG_LABEL, (other,), place)
        )
    touched = tuple(o for o, p in zip(others, places, strict=True) if p and p[0] < place[1] and place[0] < p[1])
    return Judgement(Verdict.WRONG_BORDERS if touched else alone, touched, place)
