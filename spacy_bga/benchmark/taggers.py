"""Contenders at work: documents in, entities or tags out."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

from spacy_bga.benchmark.fresh import take_threads
from spacy_bga.benchmark.rounds import Timing, timed
from spacy_bga.benchmark.setting import Contender
from spacy_bga.benchmark.texts import Text


class Tagger(Protocol):
    """What is asked of a contender."""

    def prepare(self, texts: Sequence[Text]) -> list[Any]:
        """RETURNS (list[Any]): Fresh documents; making them is not part of the race."""

    def stream(self, documents: Sequence[Any], batch_size: int) -> None:
        """Tag documents in batches."""

    def tag(self, text: str) -> Any:
        """Tag one text, tokenization and all."""

    def count(self, documents: Sequence[Any]) -> int | None:
        """RETURNS (Optional[int]): The entities found in documents that were streamed; None if it makes none."""


class SpacyTagger:
    """A spaCy pipeline. nlp (Language): The pipeline."""

    def __init__(self, nlp: Any):
        self.nlp = nlp

    def prepare(self, texts: Sequence[Text]) -> list[Any]:
        return [text.to_doc(self.nlp.vocab) for text in texts]

    def stream(self, documents: Sequence[Any], batch_size: int) -> None:
        deque(self.nlp.pipe(documents, batch_size=batch_size), maxlen=0)

    def tag(self, text: str) -> Any:
        return self.nlp(text)

    def count(self, documents: Sequence[Any]) -> int | None:
        return sum(len(doc.ents) for doc in documents)


def load(contender: Contender) -> Tagger:
    """RETURNS (Tagger): The contender, ready to tag. Torch gets as many threads as the process was given."""
    take_threads()
    if contender.kind == "huggingface":
        from spacy_bga.benchmark.huggingface import HuggingFaceTagger

        return HuggingFaceTagger(contender.folder)
    import spacy

    return SpacyTagger(spacy.load(contender.folder))


def time_stream(tagger: Tagger, texts: Sequence[Text], batch_size: int) -> Timing:
    """RETURNS (Timing): How long a contender takes for texts in batches, on fresh documents."""
    documents = tagger.prepare(texts)
    return timed(partial(tagger.stream, documents, batch_size))
