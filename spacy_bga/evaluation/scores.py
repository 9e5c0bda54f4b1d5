"""Score a trained pipeline on a test set, also with other visual features than those it generates.

`python -m spacy_bga.evaluation.scores MODEL TEST OUTPUT [CONTEXT ...]` does it in a process of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy_bga.errors import BGAError, Errors

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.training import Example

    from spacy_bga.aligner.model import BGAModel


def score_pipeline(model: Path, test: Path, *, contexts: Sequence[str] = ()) -> dict[str, Any]:
    """Score a pipeline's entities once, and once more for each of the contexts.

    model (Path): The pipeline's folder. test (Path): The test set.
    contexts (Sequence[str]): "zero": the text attends to zeros in place of generated features; "swapped": to those of
        another text of the same batch.
    RETURNS (dict[str, Any]): "p", "r", "f1" in percent, "per_type" and "contexts" with the same for each; and "counts",
        the `entity_counts` of each document.
    """
    import spacy

    nlp = spacy.load(model)
    scores: dict[str, Any] = {**_evaluate(nlp, test), "contexts": {}}
    for context in contexts:
        aligner = find_aligner(nlp)
        aligner.context = context  # type: ignore[assignment]
        other = _evaluate(nlp, test)
        aligner.context = "generated"
        scores["contexts"][context] = {key: other[key] for key in ("p", "r", "f1")}
    return scores


def find_aligner(nlp: Language) -> BGAModel:
    """RETURNS (BGAModel): The aligner of the pipeline, if it generates features. Raises a BGAError if not."""
    from spacy_bga.pipeline.bga_ner import BGANer
    from spacy_bga.pipeline.bridge import get_shim

    for _, component in nlp.pipeline:
        if isinstance(component, BGANer):
            aligner = get_shim(component.model).aligner
            if aligner.config.n_bga_layers:
                return aligner
    raise BGAError(Errors.B513)


def entity_counts(example: Example) -> list[int]:
    """Count a document's entities as spaCy's scorer does: an exact span with its label is right.

    example (Example): The tagged document and the gold one, which may be tokenized in another way.
    RETURNS (list[int]): The true positives, the predicted and the gold entities. Predicted ones don't count where gold
        isn't annotated.
    """
    from spacy_bga.evaluation.comparison import compare

    found = compare(example.predicted, example.reference)
    return [0, 0, 0] if found is None else [found.correct, found.correct + found.wrong, len(found.gold)]


def _evaluate(nlp: Language, test: Path) -> dict[str, Any]:
    from spacy.scorer import Scorer
    from spacy.training import Corpus

    # As `nlp.evaluate` does it, which doesn't give the documents away.
    examples = list(Corpus(test)(nlp))
    for example, doc in zip(examples, nlp.pipe(example.predicted for example in examples), strict=True):
        example.predicted = doc
    found = Scorer(nlp=nlp).score(examples)
    per_type = {
        label: {"p": percent(part["p"]), "r": percent(part["r"]), "f1": percent(part["f"])}
        for label, part in sorted((found["ents_per_type"] or {}).items())
    }
    whole = {"p": percent(found["ents_p"]), "r": percent(found["ents_r"]), "f1": percent(found["ents_f"])}
    return {**whole, "per_type": per_type, "counts": [entity_counts(example) for example in examples]}


def percent(score: float | None) -> float | None:
    """RETURNS (float | None): A score from 0 to 1 in percent, with two decimals."""
    return None if score is None else round(100 * score, 2)


def main(arguments: Sequence[str]) -> None:
    from spacy_bga.evaluation.records import write_json

    model, test, output, *contexts = arguments
    write_json(Path(output), score_pipeline(Path(model), Path(test), contexts=contexts))


if __name__ == "__main__":
    main(sys.argv[1:])
