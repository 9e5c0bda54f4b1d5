"""Every predicted and every gold entity of a corpus, judged: what all scores of a pipeline are counted from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc

from spacy_bga.corpus.feature_file import FeatureFile, holds_features
from spacy_bga.corpus.images import get_images, resolve_path
from spacy_bga.errors import BGAError, Errors, ImageError, Warnings
from spacy_bga.evaluation.bootstrap import EntityCounts
from spacy_bga.evaluation.comparison import Judgement, Verdict, compare
from spacy_bga.evaluation.provenance import portable
from spacy_bga.evaluation.tagging import image_attr, read_gold, tag_texts
from spacy_bga.pipeline.confidence import get_confidence


@dataclass(frozen=True)
class JudgedEntity:
    """A predicted or a gold entity.

    document (int): The number of its document. text (str): Its words, without differences in white space and case.
    label (str): Its label. length (int): Tokens of the gold document. verdict (Verdict): How it compares.
    other (Optional[str]): The label that the other side gives to the same words.
    confidence (Optional[float]): Of a predicted one, from 0 to 1; None if the pipeline doesn't tell.
    """

    document: int
    text: str
    label: str
    length: int
    verdict: Verdict
    other: str | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class JudgedCorpus:
    """What a pipeline finds in a corpus.

    images (tuple[bool, ...]): Of each document, whether it has an image. annotated (int): Documents with gold entities
        or the knowledge that there are none.
    predicted, gold (list[JudgedEntity]): The entities; without predicted ones where gold doesn't say what is there.
    notices (list[str]): What a reader should know.
    """

    images: tuple[bool, ...]
    annotated: int
    predicted: list[JudgedEntity]
    gold: list[JudgedEntity]
    notices: list[str]

    def counts(self, chosen: Callable[[JudgedEntity], bool] = lambda _: True) -> EntityCounts:
        """Count some of the entities.

        chosen (Callable[[JudgedEntity], bool]): Which, by their document, words, label or length: these are the same
            for both sides of a correct one.
        RETURNS (EntityCounts): (n, 3) of each document: the correct ones, the predicted and the gold ones.
        """
        counts = np.zeros((len(self.images), 3), dtype=np.int64)
        for entity in filter(chosen, self.predicted):
            counts[entity.document, 1] += 1
            counts[entity.document, 0] += entity.verdict is Verdict.CORRECT
        for entity in filter(chosen, self.gold):
            counts[entity.document, 2] += 1
        return counts


def judge_corpus(nlp: Language, corpus: Path, *, images: Path | None = None) -> JudgedCorpus:
    """Tag a corpus, and judge all entities.

    nlp (Language): Any pipeline that sets `doc.ents`. corpus (Path): A .spacy file, a folder of them, or JSONL.
    images (Optional[Path]): The image root, or given features: an image counts if it is there. Without it, whoever
        names one has one.
    RETURNS (JudgedCorpus): The entities. Where a text can't be tagged, none are found.
    RAISES (BGAError): There is no such corpus, or nobody has annotated it.
    """
    attr = image_attr(nlp)
    gold, notices = read_gold(nlp, corpus)
    docs, problems = tag_texts(nlp, gold, images)
    if problems:
        notices.append(Warnings.W610.format(number=len(problems), path=portable(corpus), first=problems[0]))
    predicted: list[JudgedEntity] = []
    annotated: list[JudgedEntity] = []
    known = 0
    for number, (doc, g) in enumerate(zip(docs, gold, strict=True)):
        if doc is None:
            doc = Doc(nlp.vocab, words=[token.text for token in g])
        found = compare(doc, g)
        if found is None:
            continue
        known += 1
        sure = [get_confidence(ent) for ent in doc.ents]
        predicted += _judged(number, g, [ent.label_ for ent in doc.ents], found.predicted, sure)
        annotated += _judged(number, g, [ent.label_ for ent in g.ents], found.gold, [None] * len(g.ents))
    if not known:
        raise BGAError(Errors.B611.format(path=corpus))
    if annotated and not predicted:
        notices.append(Warnings.W611.format(pipes=", ".join(nlp.pipe_names) or "none"))
    place = find_place(images)
    return JudgedCorpus(tuple(has_image(g, place, attr=attr) for g in gold), known, predicted, annotated, notices)


def find_place(images: Path | None) -> Path | FeatureFile | None:
    """RETURNS (Optional[Union[Path, FeatureFile]]): Where images are: their root, or the features given for them."""
    return FeatureFile(images) if images is not None and holds_features(images) else images


def has_image(doc: Doc, root: Path | FeatureFile | None, *, attr: str = "image") -> bool:
    """RETURNS (bool): Whether a document has an image: one that is below the image root, or has features, if such a
    place is given."""
    try:
        sources = get_images(doc, attr=attr)
        if isinstance(root, FeatureFile):
            return bool(sources) and sources[0] in root
        if sources and root is not None and isinstance(sources[0], str):
            resolve_path(sources[0], root)
    except ImageError:
        return False
    return bool(sources)


def squeeze(text: str) -> str:
    """RETURNS (str): A text without differences in white space and case."""
    return " ".join(text.split()).casefold()


def _judged(
    number: int, gold: Doc, labels: Sequence[str], judgements: Sequence[Judgement], sure: Sequence[float | None]
) -> Iterator[JudgedEntity]:
    for label, judgement, confidence in zip(labels, judgements, sure, strict=True):
        if judgement.verdict is Verdict.UNKNOWN or judgement.place is None:
            continue
        start, end = judgement.place
        other = label if judgement.verdict is Verdict.CORRECT else None
        if judgement.verdict is Verdict.WRONG_LABEL:
            other = judgement.others[0].label_
        text = squeeze(gold[start:end].text)
        yield JudgedEntity(number, text, label, end - start, judgement.verdict, other, confidence)
