"""Pictures of the pointing game: the image, how alike its patches are to the entity, the box and the point."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from spacy_bga.corpus.images import decode_image, find_image
from spacy_bga.evaluation.boxes import Target

SIDE = 480  # of the picture, at most
HEAT, BOX, POINT = (230, 30, 30), (60, 230, 90), (255, 255, 255)
OPACITY = 0.6


def write_pictures(
    folder: Path, targets: Sequence[Target], maps: np.ndarray, centres: np.ndarray, *, root: Path | None = None
) -> list[Path]:
    """Write a picture for each entity.

    folder (Path): Made if it isn't there. targets (Sequence[Target]): The entities.
    maps (np.ndarray): (P, rows, columns). centres (np.ndarray): (rows, columns, 2), those of the patches.
    root (Optional[Path]): The image root, where images are named by the keys of given features.
    RETURNS (list[Path]): The files, named by image, and by the entity's place and text.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for target, heat in zip(targets, maps, strict=True):
        entity = re.sub(r"\W+", "-", target.span.text).strip("-")[:60]
        path = folder / f"{target.name}_{target.span.start}_{entity}.png"
        source = target.images[0]
        image = (
            find_image(source, root) if root and isinstance(source, str) and not Path(source).is_absolute() else source
        )
        draw_map(decode_image(image), heat, target, centres).save(path)
        written.append(path)
    return written


def draw_map(image: Image.Image, heat: np.ndarray, target: Target, centres: np.ndarray) -> Image.Image:
    """RETURNS (PIL.Image.Image): The image with its map, the warmer the more alike, the boxes, and a ring as point."""
    from spacy_bga.pipeline.heat_maps import warmth

    image = image.copy()
    image.thumbnail((SIDE, SIDE))
    mask = Image.fromarray((255 * OPACITY * warmth(heat)).astype(np.uint8)).resize(image.size, Image.Resampling.BICUBIC)
    image = Image.composite(Image.new("RGB", image.size, HEAT), image, mask)
    draw = ImageDraw.Draw(image)
    for box in target.boxes:
        draw.rectangle(_to_pixels(box, image.size), outline=BOX, width=3)
    x, y = _to_pixels(centres[np.unravel_index(heat.argmax(), heat.shape)], image.size)
    for radius, colour in ((9, (0, 0, 0)), (7, POINT)):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=3)
    return image


def _to_pixels(place: Sequence[float] | np.ndarray, size: tuple[int, int]) -> list[float]:
    """RETURNS (list[float]): x, y, x, y, ... in parts of the image as pixels of a picture of that size."""
    return [float(value) * (side - 1) for value, side in zip(place, size * (len(place) // 2), strict=True)]
