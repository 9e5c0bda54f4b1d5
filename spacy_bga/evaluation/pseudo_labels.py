"""Labels that a pipeline gives to unlabelled texts, to learn from: self-training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_bga.corpus.images import get_images
from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.tagging import image_attr, knows_labels, notices_of, read_gold, tag_texts
from spacy_bga.pipeline.confidence import get_confidence


@dataclass
class PseudoLabels:
    """What a pipeline made of a corpus.

    docs (list[Doc]): The texts with their entities and the paths of their images, and nothing else that a pipeline set.
    sure, unsure (Counter[str]): By label, the entities that were taken and those that were left open.
    annotated (int): Texts with annotated tokens, which are as they were.
    notices (list[str]): What a reader should know of.
    """

    docs: list[Doc] = field(default_factory=list)
    sure: Counter[str] = field(default_factory=Counter)
    unsure: Counter[str] = field(default_factory=Counter)
    annotated: int = 0
    notices: list[str] = field(default_factory=list)


def label_corpus(nlp: Language, corpus: Path, *, threshold: float, images: Path | None = None) -> PseudoLabels:
    """Label texts by a pipeline. Entities that it is not sure of are left open: the loss of a `bga_ner` sums over all
    tags that their tokens may have, so that nothing is learnt of them. What it overlooks is no entity.

    nlp (Language): The pipeline. corpus (Path): A .spacy file, a folder of them, or JSONL.
    threshold (float): The least confidence of an entity, from 0 to 1; 0 takes all, whatever their confidence.
    images (Optional[Path]): The image root, for a pipeline that looks at images.
    RETURNS (PseudoLabels): The texts. Those with annotated tokens stay as they are; those that can't be tagged, and
        those without tokens, are left out.
    RAISES (BGAError): There is no such corpus, the pipeline knows no labels or can tag none of the texts, or an entity
        has no confidence to be compared.
    """
    if not knows_labels(nlp):
        raise BGAError(Errors.B781.format(pipes=", ".join(nlp.pipe_names) or "none"))
    gold, notices = read_gold(nlp, corpus)
    gold = [doc for doc in gold if len(doc)]
    found = PseudoLabels(notices=notices)
    open_texts = [doc for doc in gold if not doc.has_annotation("ENT_IOB")]
    docs, problems = tag_texts(nlp, open_texts, images)
    if problems and not any(docs):
        raise BGAError(Errors.B782.format(number=len(docs), path=corpus, first=problems[0]))
    found.notices += notices_of(problems)
    attr, tagged = image_attr(nlp), iter(docs)
    for doc in gold:
        if doc.has_annotation("ENT_IOB"):
            found.docs.append(doc)
            found.annotated += 1
        elif (labelled := next(tagged)) is not None:
            unsure = [ent for ent in labelled.ents if not _is_sure(ent, threshold)]
            found.unsure.update(ent.label_ for ent in unsure)
            found.sure.update(ent.label_ for ent in set(labelled.ents) - set(unsure))
            leave_open(labelled, unsure)
            found.docs.append(keep_images(labelled, attr=attr))
    return found


def keep_images(doc: Doc, *, attr: str) -> Doc:
    """RETURNS (Doc): The document, rid of what components noted on it, but for the paths of its images."""
    images = get_images(doc, attr=attr)
    doc.user_data.clear()
    doc._.set(attr, images or None)
    return doc


def leave_open(doc: Doc, unsure: Iterable[Span]) -> None:
    """Take entities off a document, and mark their tokens as not annotated.

    doc (Doc): The document. unsure (Iterable[Span]): Some of its entities.
    """
    removed = {(span.start, span.end) for span in unsure}
    kept = [ent for ent in doc.ents if (ent.start, ent.end) not in removed]
    doc.set_ents(kept, missing=[doc[start:end] for start, end in removed], default="outside")


def _is_sure(entity: Span, threshold: float) -> bool:
    if not threshold:
        return True
    confidence = get_confidence(entity)
    if confidence is None:
        raise BGAError(Errors.B780.format(entity=entity.text, label=entity.label_))
    return confidence >= threshold
