"""The pointing game: is the patch that an entity is most alike in the box of what the entity names?

After Zhang et al. 2016 (arXiv 1608.00507). An entity, read in its text, generates visual features by itself; each patch
of the real image is compared with them, and the best one's centre is the point.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.alignment import find_component
from spacy_bga.evaluation.bootstrap import draw_weights, middle_95
from spacy_bga.evaluation.boxes import Target, read_targets
from spacy_bga.evaluation.scores import percent

if TYPE_CHECKING:
    from spacy.language import Language

    from spacy_bga.pipeline.alignment import Pointers
    from spacy_bga.pipeline.bga_ner import BGANer


def measure_pointing(
    nlp: Language, texts: Path, boxes: Path, images: Path, *, pictures: Path | None = None
) -> dict[str, Any]:
    """Play the pointing game for each entity with a box.

    nlp (Language): A pipeline saved with its visual branch. texts (Path): A .spacy file or a folder of them.
    boxes (Path): Boxes of entities, see `read_boxes`. images (Path): The image root of the texts.
    pictures (Optional[Path]): A folder that gets a picture of each entity's map, box and point.
    RETURNS (dict): Hit rates in percent: "model" and its 95 % interval "model_ci", from resampling the entities;
        "centre", pointing at the centre of the image; "random", a patch by chance, on the average; "other_entity", the
        point of an entity of another text; "reachable", how many boxes hold the centre of a patch at all. And "n".
    RAISES (BGAError): The pipeline can't align, or there is no entity with a box and an image that can be used.
    """
    from spacy_bga.pipeline.bridge import get_shim
    from spacy_bga.pipeline.heat_maps import cell_centres

    component = find_component(nlp)
    centres = cell_centres(get_shim(component.model).aligner)
    targets, pointers = find_pointers(nlp, component, texts, boxes, images)
    maps = pointers.maps()
    if pictures is not None:
        from spacy_bga.evaluation.pointing_pictures import write_pictures

        write_pictures(pictures, targets, maps, centres, root=images)
    found = hits(maps, targets, centres)
    inside = np.stack([target.contains(centres) for target in targets])
    return {
        "model": percent(float(found.mean())),
        "model_ci": [round(bound, 2) for bound in bootstrap(found)],
        "centre": percent(float(np.mean([target.contains(np.array((0.5, 0.5))) for target in targets]))),
        "random": percent(float(inside.mean())),
        "other_entity": percent(_of_other_entities(pointers, targets, centres)),
        "reachable": percent(float(inside.any(axis=(1, 2)).mean())),
        "n": len(found),
    }


def find_pointers(
    nlp: Language, component: BGANer, texts: Path, boxes: Path, images: Path
) -> tuple[list[Target], Pointers]:
    """RETURNS (tuple[list[Target], Pointers]): Entities that have a box and an image that can be used, and what they
    generate. Raises a BGAError if there are none."""
    from spacy_bga.pipeline.heat_maps import point_at_images

    targets = read_targets(nlp, texts, boxes, images, attr=component.image_attr)
    spans, sources = [t.span for t in targets], [t.images for t in targets]
    pointers = point_at_images(component, spans, sources, on_missing=component.on_missing)
    if pointers is None:
        raise BGAError(Errors.B527.format(boxes=boxes, texts=texts, images=images))
    return [targets[place] for place in pointers.places], pointers


def hits(maps: np.ndarray, targets: Sequence[Target], centres: np.ndarray) -> np.ndarray:
    """Whether the best patch's centre is in a box of its entity.

    maps (np.ndarray): (P, rows, columns). targets (Sequence[Target]): P entities.
    centres (np.ndarray): (rows, columns, 2), those of the patches.
    RETURNS (np.ndarray): (P,) 0 or 1; if several patches are the best, the share of them that hits, so that a constant
        map scores what chance does.
    """
    inside = np.stack([target.contains(centres) for target in targets])
    best = maps == maps.max(axis=(1, 2), keepdims=True)
    return (best & inside).sum(axis=(1, 2)) / best.sum(axis=(1, 2))


def bootstrap(found: np.ndarray, *, resamples: int = 2000, seed: int = 0) -> tuple[float, float]:
    """RETURNS (tuple[float, float]): The 95 % interval, in percent, of the mean of (P,) hits."""
    n = len(found)
    rates = np.concatenate([weights @ found for weights in draw_weights(n, resamples, seed=seed)]) / n
    return middle_95(100 * rates)


def _of_other_entities(pointers: Pointers, targets: Sequence[Target], centres: np.ndarray) -> float | None:
    """RETURNS (Optional[float]): The hit rate of other texts' entities: what pointing at the most striking patch alone
    is worth. None if all are of one image."""
    from dataclasses import replace

    step = max(1, len(targets) // 2)  # the entities of one text are neighbours
    names = np.array([target.name for target in targets])
    others = replace(pointers, directions=np.roll(pointers.directions, step, axis=0))
    is_other = names != np.roll(names, step)
    return float(hits(others.maps(), targets, centres)[is_other].mean()) if is_other.any() else None
