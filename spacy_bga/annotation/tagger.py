"""A pipeline that tags batches of texts of any origin, where what can't be tagged costs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from spacy.tokens import Doc

from spacy_bga.annotation.records import Record
from spacy_bga.corpus.texts import make_doc
from spacy_bga.errors import BGAError, Errors, printable, reason
from spacy_bga.evaluation.tagging import image_attr, knows_labels, load_pipeline, look_below, untagged
from spacy_bga.pipeline.bga_ner import BGANer

Spans = list[dict[str, Any]]
"""Entities: "start" and "end" in characters, "label", "text", and "confidence" or None."""


class Tagger:
    """A loaded pipeline. Its process gets one thread of torch: who has more processors takes more workers.

    pipeline (str): Its folder or its package. images (Optional[str]): The image root.
    RAISES (BGAError): There is no pipeline, or it has learnt no labels.
    """

    def __init__(self, pipeline: str, *, images: str | None = None) -> None:
        torch.set_num_threads(1)
        self.nlp = load_pipeline(pipeline)
        if not knows_labels(self.nlp):
            raise BGAError(Errors.B781.format(pipes=", ".join(self.nlp.pipe_names)))
        look_below(self.nlp, Path(images) if images else None)
        self._attr = image_attr(self.nlp)

    @property
    def looks_at_images(self) -> bool:
        """RETURNS (bool): Whether the entities of a text depend on its image."""
        return any(pipe.images.are_looked_at for _, pipe in self.nlp.pipeline if isinstance(pipe, BGANer))

    def tag(self, records: Sequence[Record]) -> list[Spans | str]:
        """Tag a batch. To keep the vocabulary from growing, call it in a `nlp.memory_zone()`.

        records (Sequence[Record]): The batch.
        RETURNS (list[Union[Spans, str]]): For each its entities, or why it could not be tagged.
        """
        found: list[Spans | str] = [record.error for record in records]
        docs: list[tuple[Doc, int]] = []
        for place, record in enumerate(records):
            try:
                docs += [] if record.error else [(self._make_doc(record), place)]
            except Exception as error:
                found[place] = _reason(error)
        try:
            for doc, place in self.nlp.pipe(docs, as_tuples=True, batch_size=max(1, len(docs))):
                found[place] = spans_of(doc)
        except Exception:  # of any component, for any of them
            for _, place in docs:
                found[place] = self._tag_alone(records[place])
        return found

    def _tag_alone(self, record: Record) -> Spans | str:
        try:
            return spans_of(self.nlp(self._make_doc(record)))
        except Exception as error:
            return _reason(error)

    def _make_doc(self, record: Record) -> Doc:
        if record.doc is not None:
            return untagged(self.nlp, record.doc, self._attr)
        doc = make_doc(self.nlp, record.text)
        doc._.set(self._attr, list(record.images) or None)
        return doc


def spans_of(doc: Doc) -> Spans:
    """RETURNS (list[dict[str, Any]]): The entities of a document."""
    return [
        {
            "start": ent.start_char,
            "end": ent.end_char,
            "label": ent.label_,
            "text": ent.text,
            "confidence": None if ent._.bga_confidence is None else round(ent._.bga_confidence, 4),
        }
        for ent in doc.ents
    ]


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, BGAError) else printable(reason(error))
