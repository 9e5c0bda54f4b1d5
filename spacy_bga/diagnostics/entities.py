"""The entity annotation of a document as it is stored, also where spaCy's own `doc.ents` would raise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from spacy.attrs import ENT_IOB, ENT_TYPE
from spacy.tokens import Doc

_MISSING, _INSIDE, _OUTSIDE, _BEGIN = range(4)


@dataclass(frozen=True)
class Mention:
    """An entity by its tokens: `doc[start:end]`, and its label."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class Annotation:
    """The entity annotation of one document.

    mentions (tuple[Mention, ...]): Its entities; one begins at an `I-` tag that continues nothing, too.
    orphans (tuple[int, ...]): The tokens with such a tag.
    missing (int): Tokens without annotation. known (bool): Whether any token has it.
    """

    mentions: tuple[Mention, ...]
    orphans: tuple[int, ...]
    missing: int
    known: bool


def read_annotation(doc: Doc) -> Annotation:
    """Read the entity annotation of a document.

    doc (Doc): The document.
    RETURNS (Annotation): What is stored on its tokens.
    """
    mentions: list[Mention] = []
    orphans: list[int] = []
    missing = 0
    going = 0  # the label of the entity that the next token may continue, 0 for none
    for i, (iob, label) in enumerate(np.asarray(doc.to_array([ENT_IOB, ENT_TYPE]), dtype=np.uint64).tolist()):
        missing += iob == _MISSING
        if iob == _INSIDE and label and label == going:
            mentions[-1] = Mention(mentions[-1].start, i + 1, mentions[-1].label)
            continue
        if iob == _INSIDE:
            orphans.append(i)
        going = label if iob in (_INSIDE, _BEGIN) else 0
        if going:
            mentions.append(Mention(i, i + 1, doc.vocab.strings[label]))
    return Annotation(tuple(mentions), tuple(orphans), missing, missing < len(doc))
