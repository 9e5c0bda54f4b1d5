"""Parts of a corpus that are scored for themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass

from spacy.tokens import Doc

from spacy_bga.evaluation.judged import JudgedCorpus, JudgedEntity, squeeze

LENGTHS = ("1", "2", "3", "4 or more")  # tokens


@dataclass(frozen=True)
class Slice:
    """Some of the entities.

    group (str): What they are told apart by. name (str): Which of them.
    chosen (Callable[[JudgedEntity], bool]): Whether an entity is one of them.
    """

    group: str
    name: str
    chosen: Callable[[JudgedEntity], bool]


def make_slices(corpora: Sequence[JudgedCorpus], *, known: Set[str] | None = None) -> list[Slice]:
    """Choose what is scored for itself.

    corpora (Sequence[JudgedCorpus]): What one or several pipelines find in the same corpus.
    known (Optional[Set[str]]): The words of entities in training, see `known_entities`; None if that is not to be told.
    RETURNS (list[Slice]): All entities; those of each label; those of each length; those whose words are an entity in
        training, whatever its label, and the others; those of documents with an image, and without, if there are both.
    """
    entities = [entity for corpus in corpora for entity in (*corpus.predicted, *corpus.gold)]
    slices = [Slice("overall", "all", lambda _: True)]
    slices += [_by_label(label) for label in sorted({entity.label for entity in entities})]
    slices += [_by_length(number) for number in range(1, len(LENGTHS) + 1)]
    if known is not None:
        slices.append(Slice("seen", "seen", lambda entity: entity.text in known))
        slices.append(Slice("seen", "unseen", lambda entity: entity.text not in known))
    images = corpora[0].images
    if len(set(images)) == 2:
        slices.append(Slice("image", "with an image", lambda entity: images[entity.document]))
        slices.append(Slice("image", "without", lambda entity: not images[entity.document]))
    return slices


def known_entities(docs: Iterable[Doc]) -> set[str]:
    """RETURNS (set[str]): The words of a corpus' entities, without differences in white space and case."""
    return {squeeze(ent.text) for doc in docs for ent in doc.ents}


def _by_label(label: str) -> Slice:
    return Slice("label", label, lambda entity: entity.label == label)


def _by_length(number: int) -> Slice:
    return Slice("length", LENGTHS[number - 1], lambda entity: min(entity.length, len(LENGTHS)) == number)
