"""Entity annotation to tags and back: where spaCy's spans meet the CRF's numbers.

White-space tokens are transparent: the CRF sees a document's *content tokens* only, entities never begin or end on
white space, and an entity may contain it. Shapes: `t` content tokens, `L` tags, as listed by `bio_tags`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from spacy.attrs import ENT_IOB, ENT_TYPE, IS_SPACE, ORTH
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_bga.errors import BGAError, Errors, Warnings

_MISSING = (None, "-", "")
_OUTSIDE_IOB = 2
_BLOCKED_IOB = 3  # With no type: spaCy's mark of tokens that must not become entities


def content_tokens(doc: Doc) -> np.ndarray:
    """List the tokens that the CRF sees: all but white space.

    doc (Doc): The document.
    RETURNS (np.ndarray): Token indices `(t,)`, int64, ascending.
    """
    return np.flatnonzero(doc.to_array(IS_SPACE) == 0)


def has_annotation(example: Example) -> bool:
    """Whether any content token is known to be in an entity or outside of all.

    example (Example): The example, whose tokenizations may differ.
    RETURNS (bool): False if all content tokens' entity annotation is missing or can't be aligned.
    """
    tags = aligned_tags(example)
    return any(tags[i] not in _MISSING for i in content_tokens(example.predicted))


def aligned_tags(example: Example) -> list[str | None]:
    """The reference's entity annotation at the predicted document's tokens.

    As `Example.get_aligned_ner` has it, but that the last token of an entity may be `I-` or `B-` rather than `L-` or
    `U-`. Where both documents have the same tokens there is nothing to align, and it takes a quarter of the time.

    example (Example): The example, whose tokenizations may differ.
    RETURNS (list[Optional[str]]): One for each token: "O", a prefix and a label, or None where nothing is known.
    """
    reference = example.reference
    if not np.array_equal(example.predicted.to_array(ORTH), reference.to_array(ORTH)):
        return list(example.get_aligned_ner())
    tags: list[str | None] = ["O" if iob == _OUTSIDE_IOB else None for iob in reference.to_array(ENT_IOB).tolist()]
    for span in reference.ents:
        inside = f"I-{span.label_}"
        tags[span.start : span.end] = [f"B-{span.label_}", *[inside] * (len(span) - 1)]
    return tags


def allowed_tags(example: Example, labels: Sequence[str]) -> np.ndarray:
    """Translate an example's entity annotation to the tags that it allows at each content token.

    A token whose annotation is missing, can't be aligned, or has a label that is not in `labels` (a warning) allows all
    tags. Annotation that is not BIO is mended: an `I-X` that continues nothing begins an entity. So there is always a
    BIO sequence within the allowed tags.

    example (Example): The example, whose tokenizations may differ.
    labels (Sequence[str]): The component's labels, in the order of their tags.
    RETURNS (np.ndarray): Allowed tags `(t, L)` of the predicted document's content tokens, bool.
    """
    begin_tags = {label: 1 + 2 * k for k, label in enumerate(labels)}
    tags = aligned_tags(example)
    is_space = example.predicted.to_array(IS_SPACE) != 0
    rows: list[int | None] = []  # one tag, or None for all
    going: str | None = None  # label of the entity that the next token may continue
    begun = True  # whether that entity has a content token yet
    unknown = False  # whether the last content token may be anything
    for tag, space in zip(tags, is_space, strict=True):
        prefix, _, label = (tag or "-").partition("-")
        if space:
            # An entity that begins on white space begins at its first content token instead
            if prefix == "B":
                going, begun, unknown = label, False, False
            continue
        begin = begin_tags.get(label)
        if label and begin is None:
            warnings.warn(Warnings.W210.format(label=label, labels=", ".join(labels)), stacklevel=2)
        if tag in _MISSING or (label and begin is None):
            rows.append(None)
            going, unknown = None, True
            continue
        if begin is None:
            rows.append(0)
        else:
            inside = prefix in "IL" and (unknown or (going == label and begun))
            rows.append(begin + 1 if inside else begin)
        going, begun, unknown = (label if prefix in "BI" else None), True, False
    return _one_hot(rows, 1 + 2 * len(labels))


def _one_hot(rows: Sequence[int | None], size: int) -> np.ndarray:
    allowed = np.zeros((len(rows), size), dtype=bool)
    for at, tag in enumerate(rows):
        allowed[at, slice(None) if tag is None else tag] = True
    return allowed


@dataclass(frozen=True)
class Tagging:
    """What the CRF finds in a document.

    tags (np.ndarray): The best tags of its content tokens `(t,)`, int64.
    confidence (Optional[np.ndarray]): The posterior of each entity in them, in order; None if it wasn't asked for.
    features (Optional[DocFeatures]): What other components get of its text; None if none listens.
    """

    tags: np.ndarray
    confidence: np.ndarray | None = None
    features: Any = None


def to_entities(tag_ids: np.ndarray) -> list[tuple[int, int, int]]:
    """Find the entities in the tags of content tokens.

    An `I-X` that continues nothing begins an entity.

    tag_ids (np.ndarray): The tags `(t,)`, int64.
    RETURNS (list[tuple[int, int, int]]): The first content token, the one after the last, and the number of the label
        of each entity, in order.
    """
    inside = np.flatnonzero(tag_ids)  # most tokens are in no entity
    found: list[tuple[int, int, int]] = []
    for place, tag in zip(inside.tolist(), tag_ids[inside].tolist(), strict=True):
        label = (tag - 1) // 2
        if tag % 2 == 0 and found and found[-1][1:] == (place, label):
            found[-1] = (found[-1][0], place + 1, label)
        else:
            found.append((place, place + 1, label))
    return found


def to_spans(doc: Doc, tag_ids: Sequence[int] | np.ndarray, labels: Sequence[str]) -> list[Span]:
    """Translate the tags of content tokens to entities, as `to_entities` finds them.

    doc (Doc): The document.
    tag_ids (Sequence[int]): Tags of its content tokens `(t,)`.
    labels (Sequence[str]): The component's labels, in the order of their tags.
    RETURNS (list[Span]): The entities, in order; they may contain white space, but don't begin or end on it.
    """
    tokens = content_tokens(doc)
    ids = np.asarray(tag_ids, dtype=np.int64)
    if len(tokens) != len(ids):
        raise BGAError(Errors.B210.format(tokens=len(tokens), tags=len(ids), text=_beginning(doc)))
    outside = (ids < 0) | (ids > 2 * len(labels))
    if outside.any():
        raise BGAError(Errors.B211.format(tag=ids[outside][0], labels=len(labels), last=2 * len(labels)))
    return [
        Span(doc, int(tokens[first]), int(tokens[end - 1]) + 1, label=labels[label])
        for first, end, label in to_entities(ids)
    ]


def blocked_spans(doc: Doc) -> list[Span]:
    """List the tokens that must not become entities, as marked by `Doc.set_ents(..., blocked=...)`.

    doc (Doc): The document.
    RETURNS (list[Span]): One span per blocked token: pass them on, since setting entities would clear the marks.
    """
    return [doc[i : i + 1] for i in np.flatnonzero(_is_blocked(doc)).tolist()]


def preset_mask(doc: Doc, *, overwrite: bool = False) -> np.ndarray:
    """Find the tokens that are taken, where only `O` should be predicted.

    doc (Doc): The document.
    overwrite (bool): Whether predictions replace the document's entities, so that only blocked tokens are taken.
    RETURNS (np.ndarray): True at tokens that are blocked or in an entity `(len(doc),)`, bool.
    """
    taken = _is_blocked(doc)
    if not overwrite:
        for span in doc.ents:
            taken[span.start : span.end] = True
    return taken


def merge_entities(doc: Doc, predicted: Iterable[Span], *, overwrite: bool) -> list[Span]:
    """Decide between the entities that a document has and the predicted ones.

    The document's own entities are kept as they are (label, `kb_id`, `id`) and predicted ones that overlap with one of
    them are dropped. With `overwrite`, the document's entities give way to the predicted ones. In both cases no
    entity covers a blocked token, and of overlapping predictions the first one is kept.

    doc (Doc): The document, which is not changed.
    predicted (Iterable[Span]): The predicted entities.
    overwrite (bool): Whether predictions replace the document's entities.
    RETURNS (list[Span]): The entities to set, in order of their place.
    """
    taken = preset_mask(doc, overwrite=overwrite)
    entities = [] if overwrite else list(doc.ents)
    for span in predicted:
        if not taken[span.start : span.end].any():
            taken[span.start : span.end] = True
            entities.append(span)
    return sorted(entities, key=lambda span: span.start)


def _is_blocked(doc: Doc) -> np.ndarray:
    if not doc.has_annotation("ENT_IOB"):  # as good as always while tagging
        return np.zeros(len(doc), dtype=bool)
    iob, label = doc.to_array([ENT_IOB, ENT_TYPE]).T
    return (iob == _BLOCKED_IOB) & (label == 0)


def _beginning(doc: Doc) -> str:
    return doc[:8].text
