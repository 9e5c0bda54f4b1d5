"""What sets predicted entities apart from gold ones, counted as spaCy's scorer counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from spacy.tokens import Doc, Span


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
    """A verdict on an entity. others (tuple[Span, ...]): Those of the other side that it overlaps, if it is wrong."""

    verdict: Verdict
    others: tuple[Span, ...] = ()

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
    """Compare by characters, so that the two may be tokenized differently.

    doc (Doc): The predicted entities. gold (Doc): The same text with its gold entities.
    RETURNS (Optional[Comparison]): None if nobody has annotated the text.
    """
    if not gold.has_annotation("ENT_IOB"):
        return None
    unknown = [(t.idx, t.idx + len(t)) for t in gold if t.ent_iob == 0 and len(t)]
    right = {_key(ent) for ent in doc.ents} & {_key(ent) for ent in gold.ents}
    return Comparison(
        [_judge(ent, gold.ents, right, unknown, alone=Verdict.SPURIOUS) for ent in doc.ents],
        [_judge(ent, doc.ents, right, (), alone=Verdict.MISSED) for ent in gold.ents],
    )


def _judge(
    ent: Span,
    others: Sequence[Span],
    right: set[tuple[int, int, str]],
    unknown: Iterable[tuple[int, int]],
    *,
    alone: Verdict,
) -> Judgement:
    """RETURNS (Judgement): On one entity. alone (Verdict): What it is if it overlaps no other."""
    if _key(ent) in right:
        return Judgement(Verdict.CORRECT)
    if any(start < ent.end_char and ent.start_char < end for start, end in unknown):
        return Judgement(Verdict.UNKNOWN)
    touched = tuple(o for o in others if o.start_char < ent.end_char and ent.start_char < o.end_char)
    if any((o.start_char, o.end_char) == (ent.start_char, ent.end_char) for o in touched):
        return Judgement(Verdict.WRONG_LABEL, touched)
    return Judgement(Verdict.WRONG_BORDERS, touched) if touched else Judgement(alone)


def _key(ent: Span) -> tuple[int, int, str]:
    return ent.start_char, ent.end_char, ent.label_
