"""The objects of the embedded corpus: one function draws one thing into a box, with shapes alone.

Every function takes a `Pen`, whose coordinates run from (0, 0) to (1, 1) across the object's box.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from PIL import ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

WHITE, INK, STEEL, GOLD = (250, 250, 248), (38, 38, 46), (150, 156, 166), (232, 184, 52)
SKIN = ((246, 213, 184), (224, 172, 128), (186, 124, 82), (124, 78, 50), (84, 52, 36))
HAIR = ((36, 26, 22), (88, 54, 30), (196, 150, 76), (140, 60, 30), (160, 160, 160))
REDS, GREENS = ((196, 40, 46), (236, 128, 28), (210, 60, 130)), ((20, 128, 76), (0, 140, 150))
BLUES = ((28, 84, 176), (110, 52, 150), (18, 30, 74))
BOLD = (*REDS, *GREENS, *BLUES)
LEAF, EARTH, SKY, WATER, SAND = (62, 132, 66), (142, 108, 72), (150, 204, 240), (58, 128, 190), (236, 214, 156)


class Pen:
    """Draws into a box with coordinates between 0 and 1.

    draw (ImageDraw.ImageDraw): The canvas.
    box (tuple[int, int, int, int]): The object's box, in pixels.
    rng (random.Random): The source of chance.
    """

    def __init__(self, draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], rng: random.Random) -> None:
        self.draw = draw
        self.left, self.top = box[0], box[1]
        self.width, self.height = box[2] - box[0] - 1, box[3] - box[1] - 1
        self.rng = rng

    def at(self, points: Sequence[Point]) -> list[tuple[int, int]]:
        """RETURNS (list[tuple[int, int]]): The points in pixels."""
        return [(round(self.left + x * self.width), round(self.top + y * self.height)) for x, y in points]

    def rect(self, x0: float, y0: float, x1: float, y1: float, fill: Colour, round_by: float = 0) -> None:
        """Draw a rectangle; `round_by` is the radius of its corners, as a share of the box's width."""
        self.draw.rounded_rectangle(self.at([(x0, y0), (x1, y1)]), round(round_by * self.width), fill)

    def oval(self, x0: float, y0: float, x1: float, y1: float, fill: Colour | None, line: Colour | None = None) -> None:
        """Draw an oval, filled or as a ring."""
        width = max(2, round(0.05 * self.width)) if line else 1
        self.draw.ellipse(self.at([(x0, y0), (x1, y1)]), fill, line, width)

    def chord(self, x0: float, y0: float, x1: float, y1: float, start: int, end: int, fill: Colour) -> None:
        """Draw a part of an oval, cut by a straight line."""
        self.draw.chord(self.at([(x0, y0), (x1, y1)]), start, end, fill)

    def shape(self, fill: Colour, *points: Point) -> None:
        """Draw a filled polygon."""
        self.draw.polygon(self.at(points), fill)

    def line(self, fill: Colour, width: float, *points: Point) -> None:
        """Draw a line through the points; `width` is a share of the box's width."""
        self.draw.line(self.at(points), fill, max(2, round(width * self.width)), joint="curve")

    def star(self, x: float, y: float, radius: float, fill: Colour) -> None:
        """Draw a five-pointed star; `radius` is a share of the box's width."""
        tips = ((0, -1), (0.95, -0.31), (0.59, 0.81), (-0.59, 0.81), (-0.95, -0.31))
        dents = ((0.22, -0.31), (0.36, 0.12), (0, 0.38), (-0.36, 0.12), (-0.22, -0.31))
        tall = radius * self.width / max(1, self.height)
        outline = [point for pair in zip(tips, dents, strict=True) for point in pair]
        self.shape(fill, *[(x + radius * a, y + tall * b) for a, b in outline])


def two_colours(rng: random.Random) -> tuple[Colour, Colour]:
    """RETURNS (tuple[Colour, Colour]): The colours of a shirt or a flag, which differ."""
    first, second = rng.sample(BOLD, 2)
    return first, rng.choice((second, WHITE, GOLD))


# People


def _head(pen: Pen, x0: float, y0: float, x1: float, y1: float, skin: Colour) -> None:
    """A face with eyes, a mouth and one of four hair styles."""
    width, height, hair = x1 - x0, y1 - y0, pen.rng.choice(HAIR)
    style = pen.rng.choice(("short", "short", "long", "cap", "bald"))
    if style == "long":
        pen.rect(x0, y0 + 0.1 * height, x1, y1, hair, 0.3 * width)
    x0, x1 = x0 + 0.08 * width, x1 - 0.08 * width
    pen.oval(x0, y0, x1, y1, skin)
    if style != "bald":
        pen.chord(x0, y0, x1, y1, 195, 345, pen.rng.choice(BOLD) if style == "cap" else hair)
    if style == "cap":
        pen.rect(x0 + 0.3 * width, y0 + 0.34 * height, x1 + 0.08 * width, y0 + 0.42 * height, INK)
    for x in (x0 + 0.26 * width, x0 + 0.58 * width):
        pen.oval(x - 0.06 * width, y0 + 0.46 * height, x + 0.06 * width, y0 + 0.58 * height, INK)
    pen.chord(x0 + 0.22 * width, y0 + 0.56 * height, x1 - 0.22 * width, y0 + 0.86 * height, 20, 160, (176, 56, 56))


def portrait(pen: Pen) -> None:
    """A head and shoulders."""
    skin, (shirt, collar) = pen.rng.choice(SKIN), two_colours(pen.rng)
    pen.shape(shirt, (0, 1), (0.04, 0.82), (0.22, 0.7), (0.78, 0.7), (0.96, 0.82), (1, 1))
    pen.shape(collar, (0.34, 0.69), (0.66, 0.69), (0.5, 0.92))
    pen.shape(skin, (0.4, 0.5), (0.6, 0.5), (0.62, 0.7), (0.5, 0.82), (0.38, 0.7))
    _head(pen, 0.2, 0, 0.8, 0.64, skin)


def _body(pen: Pen, top: Colour, legs: Colour, skin: Colour, *, raised: bool, shorts: bool) -> None:
    for x in (0.27, 0.53):
        pen.rect(x, 0.55, x + 0.2, 0.95, skin if shorts else legs)
        pen.rect(x - 0.03, 0.94, x + 0.22, 1, INK)
    pen.rect(0.25, 0.54, 0.75, 0.72 if shorts else 0.62, legs)
    pen.line(skin, 0.14, (0.2, 0.28), (0.08, 0.42), (0.08, 0.6))
    pen.line(skin, 0.14, (0.8, 0.28), (0.92, 0.42), (0.92, 0.12 if raised else 0.6))
    pen.rect(0.15, 0.22, 0.85, 0.58, top, 0.12)
    pen.rect(0.42, 0.16, 0.58, 0.25, skin)
    _head(pen, 0.27, 0, 0.73, 0.2, skin)


def standing(pen: Pen) -> None:
    """A person in everyday clothes."""
    top, legs = pen.rng.choice(BOLD), pen.rng.choice(((40, 52, 92), INK, (96, 84, 70)))
    _body(pen, top, legs, pen.rng.choice(SKIN), raised=pen.rng.random() < 0.3, shorts=False)
    if pen.rng.random() < 0.5:
        pen.shape(WHITE, (0.42, 0.22), (0.58, 0.22), (0.5, 0.36))
        pen.shape(BOLD[0], (0.47, 0.25), (0.53, 0.25), (0.54, 0.42), (0.5, 0.46), (0.46, 0.42))


def player(pen: Pen) -> None:
    """An athlete in a striped shirt, with a ball."""
    top, stripe = two_colours(pen.rng)
    _body(pen, top, stripe, pen.rng.choice(SKIN), raised=pen.rng.random() < 0.6, shorts=True)
    for x in (0.3, 0.6):
        pen.rect(x, 0.24, x + 0.1, 0.54, stripe)
    ball = pen.rng.choice(((226, 120, 40), WHITE))
    pen.oval(0.68, 0.86, 1, 0.995, ball)
    pen.line(INK, 0.03, (0.7, 0.93), (0.98, 0.93))
    pen.line(INK, 0.03, (0.84, 0.87), (0.84, 0.985))


def singer(pen: Pen) -> None:
    """A person behind a microphone."""
    _body(pen, pen.rng.choice(BOLD), INK, pen.rng.choice(SKIN), raised=True, shorts=False)
    pen.line(STEEL, 0.05, (0.5, 0.24), (0.5, 0.99))
    pen.rect(0.3, 0.97, 0.7, 1, STEEL)
    pen.oval(0.4, 0.17, 0.6, 0.26, INK)


# Places


def skyline(pen: Pen) -> None:
    """High-rise buildings with lit windows."""
    lit, edge, count = pen.rng.choice(((250, 232, 150), (210, 232, 250))), 0.0, pen.rng.randint(4, 6)
    for number in range(count):
        left, right = edge, 1.0 if number == count - 1 else (number + 1) / count
        top = 0.0 if number == count // 2 else pen.rng.uniform(0.12, 0.55)
        shade = pen.rng.choice(((70, 82, 108), (104, 112, 128), (132, 92, 84), (58, 96, 112)))
        if top < 0.2:
            pen.line(shade, 0.02, ((left + right) / 2, top), ((left + right) / 2, top + 0.14))
            top += 0.12
        pen.rect(left, top, right, 1, shade)
        y = top + 0.05
        while y < 0.93:
            for column in range(3):
                x = left + (right - left) * (0.16 + 0.26 * column)
                pen.rect(x, y, x + 0.16 * (right - left), y + 0.05, lit if pen.rng.random() < 0.75 else INK)
            y += 0.1
        edge = right


def tower(pen: Pen) -> None:
    """A lattice tower, as old cities have."""
    iron = pen.rng.choice(((112, 84, 64), (84, 88, 100), (150, 66, 56)))
    pen.shape(iron, (0.5, 0), (0.58, 0.36), (0.68, 0.68), (0.32, 0.68), (0.42, 0.36))
    pen.shape(iron, (0.32, 0.66), (0.5, 0.74), (0.26, 1), (0, 1))
    pen.shape(iron, (0.68, 0.66), (0.5, 0.74), (0.74, 1), (1, 1))
    for y, half in ((0.3, 0.12), (0.62, 0.22)):
        pen.rect(0.5 - half, y, 0.5 + half, y + 0.05, iron)
    pen.shape(SKY, (0.5, 0.4), (0.55, 0.58), (0.45, 0.58))


def museum(pen: Pen) -> None:
    """A building with steps, columns and a gable."""
    stone, shade = pen.rng.choice((((226, 216, 196), (176, 160, 132)), ((206, 206, 212), (146, 146, 158))))
    pen.shape(stone, (0.5, 0), (1, 0.3), (0, 0.3))
    pen.shape(shade, (0.5, 0.08), (0.8, 0.26), (0.2, 0.26))
    pen.rect(0.04, 0.3, 0.96, 0.9, shade)
    for number in range(5):
        pen.rect(0.07 + 0.19 * number, 0.34, 0.17 + 0.19 * number, 0.9, stone)
    pen.rect(0.02, 0.86, 0.98, 0.93, stone)
    pen.rect(0, 0.93, 1, 1, shade)


def bridge(pen: Pen) -> None:
    """A suspension bridge over water."""
    steel = pen.rng.choice(((190, 62, 44), (90, 100, 116), (222, 160, 60)))
    pen.rect(0, 0.74, 1, 1, WATER)
    for x in (0.24, 0.76):
        pen.rect(x - 0.035, 0, x + 0.035, 0.9, steel)
    sag = [(0.24 + 0.52 * step / 10, 0.06 + 0.5 * (1 - ((step - 5) / 5) ** 2)) for step in range(11)]
    pen.line(steel, 0.02, (0, 0.55), (0.24, 0.06), *sag, (1, 0.55))
    for x, y in sag[1:-1]:
        pen.line(steel, 0.008, (x, y), (x, 0.62))
    pen.rect(0, 0.6, 1, 0.68, steel)


def park(pen: Pen) -> None:
    """Trees, a path and a bench."""
    pen.rect(0, 0.55, 1, 1, (116, 176, 84))
    pen.shape(SAND, (0.42, 0.55), (0.52, 0.55), (0.86, 1), (0.36, 1))
    for x, y in ((0.17, 0.0), (0.82, 0.06)):
        pen.rect(x - 0.03, y + 0.3, x + 0.03, y + 0.72, EARTH)
        pen.oval(x - 0.17, y, x + 0.17, y + 0.48, pen.rng.choice((LEAF, (40, 104, 58), (206, 140, 50))))
    for y in (0.72, 0.78):
        pen.rect(0.08, y, 0.4, y + 0.035, (120, 74, 40))
    pen.rect(0.11, 0.78, 0.14, 0.9, INK)
    pen.rect(0.34, 0.78, 0.37, 0.9, INK)


def mountains(pen: Pen) -> None:
    """A landscape: snow-capped peaks, the sun, a river."""
    pen.rect(0, 0, 1, 1, pen.rng.choice((SKY, (246, 192, 140), (190, 214, 236))))
    pen.oval(0.72, 0.08, 0.88, 0.28, (252, 220, 90))
    for x, top, half, shade in ((0.3, 0.12, 0.34, (104, 112, 130)), (0.68, 0.26, 0.32, (84, 94, 114))):
        pen.shape(shade, (x, top), (min(1, x + half), 0.72), (max(0, x - half), 0.72))
        pen.shape(WHITE, (x, top), (x + 0.27 * half, top + 0.15), (x, top + 0.11), (x - 0.27 * half, top + 0.15))
    pen.rect(0, 0.68, 1, 1, pen.rng.choice((LEAF, (128, 160, 78))))
    pen.shape(WATER, (0.5, 0.68), (0.56, 0.68), (0.78, 1), (0.44, 1))


def beach(pen: Pen) -> None:
    """The sea, sand and a palm tree."""
    pen.rect(0, 0, 1, 0.5, pen.rng.choice((SKY, (250, 178, 120))))
    pen.oval(0.14, 0.14, 0.3, 0.36, (252, 226, 110))
    pen.rect(0, 0.46, 1, 0.76, WATER)
    pen.rect(0, 0.72, 1, 1, SAND)
    pen.line(EARTH, 0.05, (0.74, 0.92), (0.7, 0.6), (0.66, 0.3))
    for x, y in ((0.4, 0.3), (0.46, 0.16), (0.66, 0.08), (0.88, 0.16), (0.94, 0.34)):
        pen.line((36, 120, 62), 0.055, (0.66, 0.3), ((0.66 + x) / 2, min(0.3, y) - 0.02), (x, y))


def pinned_map(pen: Pen) -> None:
    """A folded map with a pin."""
    for number, shade in enumerate(((222, 232, 204), (200, 218, 184), (222, 232, 204))):
        left, lift = number / 3, 0.06 if number % 2 else 0.0
        pen.shape(shade, (left, 0.34 + lift), (left + 1 / 3, 0.4 - lift), (left + 1 / 3, 1 - lift), (left, 0.94 + lift))
    pen.line(WATER, 0.06, (0, 0.84), (0.3, 0.72), (0.56, 0.86), (1, 0.66))
    pen.line((240, 200, 90), 0.04, (0.1, 0.42), (0.4, 0.7), (0.9, 0.5))
    pin = pen.rng.choice(((216, 44, 48), (36, 96, 200)))
    pen.oval(0.34, 0, 0.66, 0.38, pin)
    pen.shape(pin, (0.36, 0.26), (0.64, 0.26), (0.5, 0.66))
    pen.oval(0.43, 0.1, 0.57, 0.28, WHITE)


Drawing = Callable[[Pen], None]

# What can be drawn for each kind of entity, with its width divided by its height.
PEOPLE_AND_PLACES: dict[str, tuple[tuple[Drawing, float], ...]] = {
    "person": ((portrait, 0.86), (standing, 0.42), (player, 0.46), (singer, 0.46)),
    "city": ((skyline, 1.15), (skyline, 0.9), (tower, 0.55), (pinned_map, 1.0), (bridge, 1.5)),
    "country": ((mountains, 1.3), (beach, 1.3), (pinned_map, 1.0)),
    "venue": ((museum, 1.2), (park, 1.3), (bridge, 1.5)),
}
