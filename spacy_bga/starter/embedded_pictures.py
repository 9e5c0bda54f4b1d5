"""The pictures of the embedded corpus: a background, some clutter, and the objects of the post's entities."""

from __future__ import annotations

import random
from collections.abc import Sequence

from PIL import Image, ImageDraw

from .embedded_emblems import EMBLEMS_AND_WORKS
from .embedded_names import Mention
from .embedded_objects import BOLD, LEAF, PEOPLE_AND_PLACES, SKY, WHITE, Colour, Drawing, Pen

SIZE = 160  # pixels, of both sides
SCALE = 2  # drawn larger, then reduced: smooth edges
COLOURS = 64  # of the palette, which keeps the files small

Box = tuple[int, int, int, int]

DRAWINGS: dict[str, tuple[tuple[Drawing, float], ...]] = {**PEOPLE_AND_PLACES, **EMBLEMS_AND_WORKS}
LABELS = {
    "PER": ("person",),
    "LOC": ("city", "country", "venue"),
    "ORG": ("team", "company", "body"),
    "MISC": ("film", "album", "award", "device", "event"),
}


def draw_picture(mentions: Sequence[Mention], rng: random.Random) -> tuple[Image.Image, list[tuple[Mention, Box]]]:
    """Draw the picture of a post.

    mentions (Sequence[Mention]): Its entities. Four of them at most are drawn.
    rng (random.Random): The source of chance.
    RETURNS (tuple[Image.Image, list[tuple[Mention, Box]]]): The picture, and where it shows which entity, in pixels.
    """
    image = Image.new("RGB", (SIZE * SCALE, SIZE * SCALE))
    draw = ImageDraw.Draw(image)
    _background(draw, rng)
    _clutter(draw, rng, rng.randint(0, 3) if mentions else rng.randint(2, 5))
    shown = list(mentions[:4])
    cells = _cells(len(shown), rng)
    rng.shuffle(cells)
    found = []
    for mention, cell in zip(shown, cells, strict=True):
        drawing, aspect = rng.choice(DRAWINGS[mention.kind])
        box = _fit(cell, aspect, rng)
        left, top, right, bottom = (SCALE * side for side in box)
        drawing(Pen(draw, (left, top, right, bottom), rng))
        found.append((mention, box))
    small = image.reduce(SCALE).quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return small, found


def other_mentions(mentions: Sequence[Mention], rng: random.Random) -> list[Mention]:
    """Choose what a picture shows that has nothing to do with its post.

    mentions (Sequence[Mention]): The post's entities, whose labels are left out if that leaves any.
    rng (random.Random): The source of chance.
    RETURNS (list[Mention]): One or two mentions without a name.
    """
    named = {mention.label for mention in mentions}
    labels = [label for label in LABELS if label not in named] or list(LABELS)
    chosen = [rng.choice(labels) for _ in range(rng.randint(1, 2))]
    return [Mention("", label, rng.choice(LABELS[label])) for label in chosen]


def _cells(count: int, rng: random.Random) -> list[Box]:
    """Where the objects go: side by side, or in two rows when there are four."""
    if count == 0:
        return []
    if count == 4:
        half = SIZE // 2
        return [(x, y, x + half, y + half) for x in (0, half) for y in (0, half)]
    widths = [rng.uniform(0.85, 1.15) for _ in range(count)]
    edges = [0.0]
    for width in widths:
        edges.append(edges[-1] + width * SIZE / sum(widths))
    return [(round(edges[at]), 8, round(edges[at + 1]), SIZE) for at in range(count)]


def _fit(cell: Box, aspect: float, rng: random.Random) -> Box:
    """The largest box of that aspect in the cell, somewhat smaller, and moved about."""
    x0, y0, x1, y1 = cell
    width = min(x1 - x0 - 6, aspect * (y1 - y0 - 6)) * rng.uniform(0.72, 0.98)
    width, height = round(width), round(width / aspect)
    left = x0 + round(rng.uniform(0.1, 0.9) * (x1 - x0 - width))
    top = y0 + round(rng.uniform(0.35, 0.95) * (y1 - y0 - height))
    return left, top, left + width, top + height


def _background(draw: ImageDraw.ImageDraw, rng: random.Random) -> None:
    size, style = SIZE * SCALE, rng.choice(("outdoors", "indoors", "dusk", "plain", "bokeh", "stripes"))
    if style in ("outdoors", "dusk"):
        horizon = rng.randint(size // 2, 4 * size // 5)
        high, low = (SKY, (232, 238, 240)) if style == "outdoors" else ((120, 84, 130), (250, 176, 120))
        _shade(draw, 0, horizon, high, low)
        draw.rectangle((0, horizon, size, size), rng.choice(((128, 178, 96), (176, 170, 160), (206, 186, 140))))
    elif style == "indoors":
        floor = rng.randint(3 * size // 5, 5 * size // 6)
        draw.rectangle((0, 0, size, floor), rng.choice(((236, 226, 206), (206, 220, 226), (226, 206, 206))))
        draw.rectangle((0, floor, size, size), rng.choice(((164, 124, 86), (130, 130, 140))))
        draw.rectangle((0, floor, size, floor + 6), WHITE)
    else:
        tint = _pale(rng.choice(BOLD))
        _shade(draw, 0, size, _pale(tint), tint)
        if style == "stripes":
            for x in range(0, size, 40):
                draw.polygon([(x, 0), (x + 18, 0), (x - 40, size), (x - 58, size)], _pale(tint))
        for _ in range(14 if style == "bokeh" else 0):
            x, y, radius = rng.randint(0, size), rng.randint(0, size), rng.randint(8, 26)
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), _pale(rng.choice(BOLD)))


def _shade(draw: ImageDraw.ImageDraw, top: int, bottom: int, first: Colour, last: Colour) -> None:
    """Blend from one colour to another, in eight bands."""
    for band in range(8):
        y0, y1 = top + band * (bottom - top) // 8, top + (band + 1) * (bottom - top) // 8
        red, green, blue = ((a * (7 - band) + b * band) // 7 for a, b in zip(first, last, strict=True))
        draw.rectangle((0, y0, SIZE * SCALE, y1), (red, green, blue))


def _pale(colour: Colour) -> Colour:
    red, green, blue = ((2 * 255 + 2 * part) // 4 for part in colour)
    return red, green, blue


def _clutter(draw: ImageDraw.ImageDraw, rng: random.Random, count: int) -> None:
    """Things that are nobody's entity: clouds, bushes, balloons, cars, confetti."""
    size = SIZE * SCALE
    for _ in range(count):
        x, y = rng.randint(0, size - 70), rng.randint(4, size - 60)
        thing, colour = rng.choice(("cloud", "bush", "balloon", "car", "confetti")), rng.choice(BOLD)
        if thing in ("cloud", "bush"):
            y = y // 4 if thing == "cloud" else size - 50
            for shift, lift in ((0, 12), (20, 0), (40, 10)):
                draw.ellipse((x + shift, y + lift, x + shift + 36, y + lift + 28), WHITE if thing == "cloud" else LEAF)
        elif thing == "balloon":
            draw.line((x + 15, y // 2 + 36, x + 18, y // 2 + 70), (90, 90, 90), 2)
            draw.ellipse((x, y // 2, x + 30, y // 2 + 38), colour)
        elif thing == "car":
            y = size - 44
            draw.rounded_rectangle((x + 14, y, x + 52, y + 20), 8, _pale(colour))
            draw.rounded_rectangle((x, y + 12, x + 68, y + 30), 6, colour)
            for wheel in (x + 10, x + 44):
                draw.ellipse((wheel, y + 22, wheel + 16, y + 38), (30, 30, 34))
        else:
            for _ in range(10):
                left, top = rng.randint(0, size - 8), rng.randint(0, size - 8)
                draw.rectangle((left, top, left + 6, top + 6), rng.choice(BOLD))
