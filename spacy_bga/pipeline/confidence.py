"""`Span._.bga_confidence`: how sure the CRF is of an entity, kept on the Doc.

It lies in `doc.user_data` where spaCy keeps the extension attributes of spans, so that whatever keeps or moves those
keeps and moves it: `to_bytes`, `DocBin(store_user_data=True)`, `n_process`, `Doc.from_docs`. It is kept by label: when
another component gives the entity another label, that one has no confidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from spacy.tokens import Doc, Span

if TYPE_CHECKING:
    from spacy.language import Language

CONFIDENCE_ATTR = "bga_confidence"


def register_confidence_extension() -> None:
    """Make `Span._.bga_confidence` exist; calling it again does nothing."""
    if not Span.has_extension(CONFIDENCE_ATTR):
        Span.set_extension(CONFIDENCE_ATTR, getter=get_confidence, setter=set_confidence)


def get_confidence(span: Span) -> float | None:
    """How sure the CRF is of an entity.

    span (Span): Any span; one of `doc.ents`, if there is to be an answer.
    RETURNS (Optional[float]): The posterior probability, from 0 to 1, that just these tokens are an entity with this
        label; None if `bga_ner` has found no such entity, or its setting `confidence` was off.
    """
    by_label = _stored(span.doc).get(_key(span)) or {}
    return by_label.get(span.label_)


def set_confidence(span: Span, value: float | Mapping[str, float]) -> None:
    """Remember how sure an entity is.

    span (Span): The entity. value (Union[float, Mapping[str, float]]): From 0 to 1, for its label; or by label, as
        `Doc.from_json` has it.
    """
    _stored(span.doc)[_key(span)] = dict(value) if isinstance(value, Mapping) else {span.label_: value}


def set_confidences(doc: Doc, spans: Iterable[Span], values: np.ndarray | None, *, overwrite: bool) -> None:
    """Remember how sure those of some entities are that got on the document.

    doc (Doc): The document. spans (Iterable[Span]): The entities that were found.
    values (Optional[np.ndarray]): The confidence of each; None: nothing is known of them.
    overwrite (bool): Whether to forget what is known of other entities.
    """
    if overwrite:
        stored = _stored(doc)
        for key in [key for key in stored if isinstance(key, tuple) and key[:2] == ("._.", CONFIDENCE_ATTR)]:
            del stored[key]
    if values is None or not len(values):
        return
    kept = set(doc.ents)
    for span, value in zip(spans, values.tolist(), strict=True):
        if span in kept:
            set_confidence(span, value)


def ask_for_confidence(nlp: Language, confidence: bool = True) -> None:
    """Let every `bga_ner` of a pipeline tell how sure its entities are, or not, whatever its config says.

    nlp (Language): The pipeline. confidence (bool): Whether to tell.
    """
    from spacy_bga.pipeline.bga_ner import BGANer

    for _, pipe in nlp.pipeline:
        if isinstance(pipe, BGANer):
            pipe.confidence = confidence


def _stored(doc: Doc) -> dict[Any, Any]:
    return doc.user_data


def _key(span: Span) -> tuple[str, str, int, int]:
    return "._.", CONFIDENCE_ATTR, span.start_char, span.end_char
