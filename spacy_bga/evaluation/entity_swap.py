"""How much of what a text generates hangs on its entities: replace one by another of its kind, and see what changes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spacy_bga.errors import BGAError, Errors

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Span, Token

    Imagine = Callable[[Sequence[Doc]], np.ndarray]


def measure_swaps(nlp: Language, labelled: Path, imagine: Imagine, *, seed: int = 0) -> dict[str, Any]:
    """Compare what replacing an entity changes with what replacing another word does, in the same texts.

    labelled (Path): A .spacy file of texts with entities. imagine (Callable[[Sequence[Doc]], np.ndarray]): Gives the
        directions (D, N, d_v) that D texts generate at N BGA layers. seed (int): Of the choice of replacements.
    RETURNS (dict): 1 - cosine, averaged over layers and texts: "entity", one replaced by another text's of the same
        label; "word", a word of no entity replaced by another text's; "other_text", the whole text replaced by another.
        And "entity_words" and "n": an entity may be several words, and that many are replaced.
    RAISES (BGAError): There is no file, or no text in it has a replacement of both kinds.
    """
    from spacy.tokens import DocBin

    if not labelled.is_file():
        raise BGAError(Errors.B341.format(path=labelled))
    docs = list(DocBin().from_disk(labelled).get_docs(nlp.vocab))
    rng = random.Random(seed)
    triples = [found for number in range(len(docs)) if (found := _swapped(docs, number, rng)) is not None]
    if not triples:
        raise BGAError(Errors.B524.format(path=labelled))
    own, by_entity, by_word = (imagine(column) for column in zip(*((t[0], t[1], t[2]) for t in triples), strict=True))
    shifted = np.roll(own, 1 + rng.randrange(max(1, len(own) - 1)), axis=0)
    return {
        "entity": change(own, by_entity),
        "word": change(own, by_word),
        "other_text": change(own, shifted) if len(own) > 1 else None,
        "entity_words": round(float(np.mean([triple[3] for triple in triples])), 2),
        "n": len(triples),
    }


def change(before: np.ndarray, after: np.ndarray) -> float:
    """RETURNS (float): The mean of 1 - cosine between directions (D, N, d) of length 1, rounded to 4 decimals."""
    cosines = np.einsum("dnw,dnw->dn", before.astype(np.float64), after.astype(np.float64))
    return max(0.0, round(float(1 - cosines.mean()), 4))  # a cosine can be rounded to more than 1


def replace(doc: Doc, start: int, end: int, words: Sequence[str]) -> Doc:
    """RETURNS (Doc): The text with other words in the place of the tokens from start to end."""
    from spacy.tokens import Doc

    own = [token.text for token in doc]
    return Doc(doc.vocab, words=[*own[:start], *words, *own[end:]])


def _swapped(docs: Sequence[Doc], number: int, rng: random.Random) -> tuple[Doc, Doc, Doc, int] | None:
    """RETURNS (Optional[tuple[Doc, Doc, Doc, int]]): A text, once with another entity and once with another word, and
    how many words the entity had; None if there is nothing to replace, or to replace it by."""
    doc = docs[number]
    entities, words = list(doc.ents), _plain_words(doc)
    if not entities or not words:
        return None
    entity, word = rng.choice(entities), rng.choice(words)
    others = [docs[i] for i in rng.sample(range(len(docs)), len(docs)) if i != number]
    other_entity = next((e for other in others for e in other.ents if _may_replace(entity, e)), None)
    other_word = next((w for other in others for w in _plain_words(other) if w.lower != word.lower), None)
    if other_entity is None or other_word is None:
        return None
    with_entity = replace(doc, entity.start, entity.end, [token.text for token in other_entity])
    return doc, with_entity, replace(doc, word.i, word.i + 1, [other_word.text]), len(entity)


def _may_replace(entity: Span, other: Span) -> bool:
    return entity.label == other.label and entity.text.lower() != other.text.lower()


def _plain_words(doc: Doc) -> list[Token]:
    """RETURNS (list[Token]): The words of no entity that mean something by themselves."""
    return [token for token in doc if token.is_alpha and not token.is_stop and not token.ent_type]
