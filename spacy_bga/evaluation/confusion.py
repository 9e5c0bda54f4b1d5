"""What becomes of gold entities, and where predicted ones come from: the confusion table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from spacy_bga.evaluation.comparison import Verdict
from spacy_bga.evaluation.judged import JudgedCorpus, JudgedEntity


def confusion(corpus: JudgedCorpus) -> dict[str, Any]:
    """Count what becomes of the entities.

    corpus (JudgedCorpus): The entities, judged.
    RETURNS (dict[str, Any]): "labels", all of both sides. "gold", for each label: "found_as", how many were found with
        their borders, by label; "wrong_borders", overlapped by others only; "missed". "predicted", for each label:
        "wrong_borders", and "spurious" if they overlap no gold entity. So a gold label's numbers add up to its gold
        entities, and a label's in "found_as" and "predicted" to its predicted ones.
    """
    labels = sorted({entity.label for entity in (*corpus.predicted, *corpus.gold)})
    gold, predicted = _by_label(corpus.gold), _by_label(corpus.predicted)
    found_as = Counter((entity.label, entity.other) for entity in corpus.gold if entity.other is not None)
    return {
        "labels": labels,
        "gold": {
            label: {
                "found_as": {other: found_as[label, other] for other in labels},
                "wrong_borders": gold[label, Verdict.WRONG_BORDERS],
                "missed": gold[label, Verdict.MISSED],
            }
            for label in labels
        },
        "predicted": {
            label: {
                "wrong_borders": predicted[label, Verdict.WRONG_BORDERS],
                "spurious": predicted[label, Verdict.SPURIOUS],
            }
            for label in labels
        },
    }


def _by_label(entities: Iterable[JudgedEntity]) -> Counter[tuple[str, Verdict]]:
    return Counter((entity.label, entity.verdict) for entity in entities)
