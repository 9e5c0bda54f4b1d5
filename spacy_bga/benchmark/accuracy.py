"""What speed costs: scores on the texts' own entities, and how far exported pipelines agree with their original."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spacy_bga.benchmark.setting import BGA, Setting
from spacy_bga.benchmark.taggers import SpacyTagger, load
from spacy_bga.benchmark.texts import Text, read_texts

BATCH = 64


def measure(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Score our pipelines.

    setting (Mapping[str, Any]): What `Setting.to_dict` makes.
    RETURNS (dict[str, Any]): For each: "f1" in percent, and "differing_documents", those whose entities are not
        those of the BGA pipeline in full precision.
    """
    given = Setting.from_dict(setting)
    texts = read_texts(given.texts, given.scale.scored_texts)
    found = {contender.name: _entities(load(contender), texts) for contender in given.ours()}
    gold = [set(text.entities) for text in texts]
    scores: dict[str, Any] = {
        name: {
            "f1": round(f1(entities, gold), 2),
            "differing_documents": sum(a != b for a, b in zip(entities, found[BGA], strict=True))
            if BGA in found
            else None,
        }
        for name, entities in found.items()
    }
    return {"documents": len(texts), "contenders": scores}


def f1(found: Sequence[set], gold: Sequence[set]) -> float:
    """RETURNS (float): Micro-averaged F1 of the entities of all documents, in percent."""
    right = sum(len(a & b) for a, b in zip(found, gold, strict=True))
    total = sum(map(len, found)) + sum(map(len, gold))
    return 200 * right / total if total else 0.0


def _entities(tagger: Any, texts: Sequence[Text]) -> list[set[tuple[int, int, str]]]:
    assert isinstance(tagger, SpacyTagger)
    docs = tagger.prepare(texts)
    tagger.stream(docs, BATCH)
    return [{(ent.start, ent.end, ent.label_) for ent in doc.ents} for doc in docs]
