"""Where in an image an entity is: boxes as people drew them, and spans of texts that have one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from spacy_bga.errors import BGAError, Errors

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Span

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Target:
    """An entity of a text, and where its image shows it.

    span (Span): The entity. images (list[Union[str, bytes]]): Those of its text. name (str): The first one's, without
        suffix.
    boxes (list[tuple]): Left, top, right and bottom of each of its boxes, in parts of the image's width and height.
    """

    span: Span
    images: list[str | bytes]
    name: str
    boxes: list[Box]

    def contains(self, points: np.ndarray) -> np.ndarray:
        """RETURNS (np.ndarray): (...), which of the points (..., 2), x and y in parts of the image, are in a box."""
        x, y = points[..., 0], points[..., 1]
        inside = [(left <= x) & (x <= right) & (top <= y) & (y <= bottom) for left, top, right, bottom in self.boxes]
        return np.any(inside, axis=0)


def read_boxes(path: Path) -> dict[str, dict[str, list[Box]]]:
    """Read boxes in pixels. What the encoder sees is the whole image squashed to a square, so that a box keeps its
    place in parts of width and height, whatever the size and the shape of the image.

    path (Path): JSONL; see B526 for what a line holds.
    RETURNS (dict[str, dict[str, list[Box]]]): By the name of the image without suffix, then by entity: one that is
        named twice has two boxes.
    RAISES (BGAError): There is no file, or a line is something else.
    """
    if not path.is_file():
        raise BGAError(Errors.B341.format(path=path))
    found: dict[str, dict[str, list[Box]]] = {}
    for number, line in enumerate(path.read_text(encoding="utf8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            name, objects = _parse(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise BGAError(Errors.B526.format(path=path, line=number, reason=reason)) from error
        for entity, box in objects:
            found.setdefault(name, {}).setdefault(entity, []).append(box)
    return found


def _parse(row: dict[str, Any]) -> tuple[str, list[tuple[str, Box]]]:
    name = PurePosixPath(row["image"]).stem if "image" in row else str(row["image_id"])
    width, height = float(row["width"]), float(row["height"])
    if min(width, height) <= 0:
        raise ValueError(f"a size of {width:g} x {height:g}")
    objects = []
    for item in row["objects"]:
        left, top, right, bottom = (float(number) for number in item["box"])
        if left >= right or top >= bottom:
            raise ValueError(f"the box {item['box']} is empty")
        objects.append((str(item["entity"]), (left / width, top / height, right / width, bottom / height)))
    return name, objects


def read_targets(nlp: Language, texts: Path, boxes: Path, images: Path, *, attr: str = "image") -> list[Target]:
    """Find the entities with boxes in the texts.

    texts (Path): A .spacy file or a folder of them. boxes (Path): What `read_boxes` reads. images (Path): The image
        root of the texts. attr (str): The extension attribute that holds a text's image.
    RETURNS (list[Target]): In the order of the texts. Of several texts with one image, the first that names the entity.
    RAISES (BGAError): There are none.
    """
    from spacy_bga.corpus.image_corpus import ImageCorpus
    from spacy_bga.corpus.images import get_images

    left = read_boxes(boxes)
    targets = []
    for example in ImageCorpus(texts, images=images, attr=attr)(nlp):
        sources = get_images(example.reference, attr=attr)
        if not sources or isinstance(sources[0], bytes):  # an image without a name is in no list of boxes
            continue
        name = Path(sources[0]).stem
        for entity, found in list(left.get(name, {}).items()):
            span = find_entity(example.reference, entity)
            if span is not None:
                targets.append(Target(span, sources, name, found))
                del left[name][entity]
    if not targets:
        raise BGAError(Errors.B527.format(boxes=boxes, texts=texts, images=images))
    return targets


def find_entity(doc: Doc, entity: str) -> Span | None:
    """RETURNS (Optional[Span]): Where the text says that, but for white space and case: its entity, or else the first
    such run of tokens. An annotator of boxes may have taken other words for entities."""
    wanted = _squeezed(entity)
    return next((ent for ent in doc.ents if _squeezed(ent.text) == wanted), None) or next(_runs(doc, wanted), None)


def _runs(doc: Doc, wanted: str) -> Iterator[Span]:
    for start in range(len(doc)):
        text = ""
        for token in doc[start:]:
            text += _squeezed(token.text)
            if text and text == wanted:
                yield doc[start : token.i + 1]
            if len(text) >= len(wanted):
                break


def _squeezed(text: str) -> str:
    return "".join(text.split()).casefold()
