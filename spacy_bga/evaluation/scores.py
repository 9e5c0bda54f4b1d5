"""Score a trained pipeline on a test set, also with other visual features than those it generates.

`python -m spacy_bga.evaluation.scores MODEL TEST OUTPUT [CONTEXT ...] [--images ROOT]` does it in a process of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy_bga.errors import BGAError, Errors

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.training import Example

    from spacy_bga.pipeline.bga_ner import BGANer


def score_pipeline(
    model: Path, test: Path, *, contexts: Sequence[str] = (), images: Path | None = None
) -> dict[str, Any]:
    """Score a pipeline's entities once, and once more for each of the contexts.

    model (Path): The pipeline's folder. test (Path): The test set.
    contexts (Sequence[str]): "zero": the text attends to zeros in place of generated features; "swapped": to those of
        another text of the same batch, or where each word generates by itself, of another word; "real": to those of its
        own image.
    images (Optional[Path]): The image root of the test set, for "real".
    RETURNS (dict[str, Any]): "p", "r", "f1" in percent, "per_type", and "counts", the `entity_counts` of each document;
        and "contexts" with "p", "r", "f1" for each, for "real" also "counts", and "images", how many texts have one.
    RAISES (BGAError): The pipeline generates no features, or lacks the visual branch that "real" needs.
    """
    import spacy

    nlp = spacy.load(model)
    scores: dict[str, Any] = {**_evaluate(nlp, test), "contexts": {}}
    for context in contexts:
        with _attending_to(context, find_component(nlp), images):
            other = _evaluate(nlp, test)
        scores["contexts"][context] = {key: other[key] for key in ("p", "r", "f1")}
        if context == "real":
            scores["contexts"][context] |= {"counts": other["counts"], "images": _count_images(nlp, test, images)}
    return scores


@contextmanager
def _attending_to(context: str, component: BGANer, images: Path | None) -> Iterator[None]:
    from spacy_bga.pipeline.bridge import get_shim

    aligner = get_shim(component.model).aligner
    before = component.visual_context, component.image_root, component.model.attrs["settings"]
    if context == "real":
        component.visual_context = "real"
        component.images.look_in(images)
    else:
        aligner.context = context  # type: ignore[assignment]
    try:
        yield
    finally:
        aligner.context = "generated"
        component.visual_context, component.image_root, component.model.attrs["settings"] = before


def find_component(nlp: Language) -> BGANer:
    """RETURNS (BGANer): The component of the pipeline that generates features. Raises a BGAError if there is none."""
    from spacy_bga.pipeline.bga_ner import BGANer
    from spacy_bga.pipeline.bridge import get_shim

    for _, component in nlp.pipeline:
        if isinstance(component, BGANer) and get_shim(component.model).aligner.config.sees:
            return component
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

    from spacy_bga.corpus.images import get_images
    from spacy_bga.evaluation.tagging import image_attr

    # As `nlp.evaluate` does it, which gives neither images to the documents nor the documents away.
    examples = list(Corpus(test)(nlp))
    attr = image_attr(nlp)
    for example in examples:
        example.predicted._.set(attr, get_images(example.reference, attr=attr) or None)
    for example, doc in zip(examples, nlp.pipe(example.predicted for example in examples), strict=True):
        example.predicted = doc
    found = Scorer(nlp=nlp).score(examples)
    per_type = {
        label: {"p": percent(part["p"]), "r": percent(part["r"]), "f1": percent(part["f"])}
        for label, part in sorted((found["ents_per_type"] or {}).items())
    }
    whole = {"p": percent(found["ents_p"]), "r": percent(found["ents_r"]), "f1": percent(found["ents_f"])}
    return {**whole, "per_type": per_type, "counts": [entity_counts(example) for example in examples]}


def _count_images(nlp: Language, test: Path, images: Path | None) -> int:
    from spacy_bga.evaluation.judged import find_place, has_image
    from spacy_bga.evaluation.tagging import image_attr, read_gold

    place = find_place(images)
    return sum(has_image(doc, place, attr=image_attr(nlp)) for doc in read_gold(nlp, test)[0])


def percent(score: float | None) -> float | None:
    """RETURNS (float | None): A score from 0 to 1 in percent, with two decimals."""
    return None if score is None else round(100 * score, 2)


def main(arguments: Sequence[str]) -> None:
    from spacy_bga.evaluation.records import write_json

    parser = argparse.ArgumentParser()
    for name in ("model", "test", "output"):
        parser.add_argument(name, type=Path)
    parser.add_argument("contexts", nargs="*", metavar="CONTEXT")
    parser.add_argument("--images", type=Path)
    given = parser.parse_args(arguments)
    write_json(given.output, score_pipeline(given.model, given.test, contexts=given.contexts, images=given.images))


if __name__ == "__main__":
    main(sys.argv[1:])
