"""What a page tells of each text: its image, how its entities compare with gold ones, and what they point at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_bga.corpus.images import get_images
from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.comparison import Comparison, Judgement, compare
from spacy_bga.viewer.pictures import Picture, find_picture

if TYPE_CHECKING:
    from spacy_bga.pipeline.bga_ner import BGANer
    from spacy_bga.pipeline.heat_maps import HeatMap

Confidence = Callable[[Span], float | None]


@dataclass(frozen=True)
class Shown:
    """An entity as it is shown. confidence (Optional[float]): 0 to 1. judgement (Optional[Judgement]): Beside gold.
    heat (Optional[HeatMap]): What it is aligned with in the image."""

    confidence: float | None
    judgement: Judgement | None
    heat: HeatMap | None


@dataclass(frozen=True)
class Post:
    """A text as it is shown.

    number (int): From 1. doc (Doc): With its entities. gold (Optional[Doc]): The same text with the gold ones.
    picture (Optional[Picture]): Its image. comparison (Optional[Comparison]): None if there is nothing to compare with.
    predicted, annotated (list[Shown]): One for each entity of `doc`, and of `gold`.
    """

    number: int
    doc: Doc
    gold: Doc | None
    picture: Picture | None
    comparison: Comparison | None
    predicted: list[Shown]
    annotated: list[Shown]


def gather_posts(
    docs: Doc | Iterable[Doc],
    gold: Doc | Iterable[Doc] | None,
    *,
    nlp: Language | None,
    images: Path | None,
    attr: str,
    confidence: Confidence,
    limit: int | None,
) -> list[Post]:
    """Gather what is to be shown. See `render` for the arguments.

    RETURNS (list[Post]): One for each text.
    RAISES (BGAError): The gold texts aren't those of the docs.
    """
    chosen = [docs] if isinstance(docs, Doc) else list(islice(docs, limit))
    golds = _match(chosen, gold, limit)
    comparisons = [None if g is None else compare(doc, g) for doc, g in zip(chosen, golds, strict=True)]
    pictures = [
        find_picture(doc, images, attr=attr) or (find_picture(g, images, attr=attr) if g is not None else None)
        for doc, g in zip(chosen, golds, strict=True)
    ]
    heat = _heat_maps(nlp, [*chosen, *golds], [*pictures, *pictures])
    posts = []
    for place, (doc, g, picture, compared) in enumerate(zip(chosen, golds, pictures, comparisons, strict=True)):
        predicted = _shown(doc, compared.predicted if compared else None, heat.get(place, {}), confidence)
        theirs = heat.get(place + len(chosen), {})
        annotated = [] if g is None else _shown(g, compared.gold if compared else None, theirs, lambda _: None)
        posts.append(Post(place + 1, doc, g, picture, compared, predicted, annotated))
    return posts


def extension_confidence(span: Span) -> float | None:
    """RETURNS (Optional[float]): `span._.bga_confidence`, if there is such an extension."""
    return span._.bga_confidence if Span.has_extension("bga_confidence") else None


def pointing_component(nlp: Language | None) -> BGANer | None:
    """RETURNS (Optional[BGANer]): The component of a pipeline that can tell what spans are aligned with, if any."""
    from spacy_bga.pipeline.bga_ner import BGANer
    from spacy_bga.pipeline.heat_maps import can_point

    pipes = [] if nlp is None else [pipe for _, pipe in nlp.pipeline]
    return next((pipe for pipe in pipes if isinstance(pipe, BGANer) and can_point(pipe)), None)


def _match(docs: Sequence[Doc], gold: Doc | Iterable[Doc] | None, limit: int | None) -> Sequence[Doc | None]:
    """RETURNS (Sequence[Optional[Doc]]): The gold document of each document."""
    if gold is None:
        return [None] * len(docs)
    golds = [gold] if isinstance(gold, Doc) else list(islice(gold, limit))
    if len(docs) != len(golds):
        raise BGAError(Errors.B601.format(docs=len(docs), gold=len(golds)))
    for number, (doc, g) in enumerate(zip(docs, golds, strict=True), start=1):
        if doc.text != g.text:
            raise BGAError(Errors.B602.format(number=number, text=doc.text[:60], other=g.text[:60]))
    return golds


def _heat_maps(
    nlp: Language | None, docs: Sequence[Doc | None], pictures: Sequence[Picture | None]
) -> dict[int, dict[int, HeatMap]]:
    """RETURNS (dict[int, dict[int, HeatMap]]): By document, then by entity: those with an image that can be shown."""
    from spacy_bga.pipeline.heat_maps import find_heat_maps

    component = pointing_component(nlp)
    if component is None:
        return {}
    by_key = component.visual_features is not None
    places, spans, sources = [], [], []
    for number, (doc, picture) in enumerate(zip(docs, pictures, strict=True)):
        if doc is None or picture is None or not picture.sources:
            continue
        for entity, span in enumerate(doc.ents):
            places.append((number, entity))
            spans.append(span)
            sources.append(get_images(doc, attr=component.image_attr) if by_key else list(picture.sources))
    found: dict[int, dict[int, HeatMap]] = {}
    for place, heat in find_heat_maps(component, spans, sources).items():
        number, entity = places[place]
        found.setdefault(number, {})[entity] = heat
    return found


def _shown(
    doc: Doc, judgements: Sequence[Judgement] | None, heat: dict[int, HeatMap], confidence: Confidence
) -> list[Shown]:
    return [
        Shown(confidence(ent), judgements[i] if judgements is not None else None, heat.get(i))
        for i, ent in enumerate(doc.ents)
    ]
