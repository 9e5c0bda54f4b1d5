"""More objects of the embedded corpus: what stands for organisations, and works, devices and prizes."""

from __future__ import annotations

from .embedded_objects import BOLD, EARTH, GOLD, INK, SKIN, STEEL, WHITE, Colour, Drawing, Pen, two_colours

# Organisations


def _shield(pen: Pen, x0: float, y0: float, x1: float, y1: float, fill: Colour) -> None:
    width, height, middle = x1 - x0, y1 - y0, (x0 + x1) / 2
    pen.shape(fill, (x0, y0 + 0.06 * height), (x0 + 0.25 * width, y0 + 0.06 * height), (middle, y0),
              (x1 - 0.25 * width, y0 + 0.06 * height), (x1, y0 + 0.06 * height), (x1, y0 + 0.55 * height),
              (x1 - 0.12 * width, y0 + 0.75 * height), (middle, y1), (x0 + 0.12 * width, y0 + 0.75 * height),
              (x0, y0 + 0.55 * height))  # fmt: skip


def crest(pen: Pen) -> None:
    """A club's shield with stripes, a star and a ball."""
    main, second = two_colours(pen.rng)
    _shield(pen, 0, 0, 1, 1, GOLD if second != GOLD else WHITE)
    _shield(pen, 0.06, 0.05, 0.94, 0.94, main)
    style = pen.rng.choice(("stripes", "band", "halves"))
    if style == "stripes":
        for x in (0.22, 0.44, 0.66):
            pen.rect(x, 0.34, x + 0.11, 0.74, second)
    elif style == "band":
        pen.shape(second, (0.08, 0.34), (0.26, 0.34), (0.86, 0.66), (0.74, 0.76))
    else:
        pen.rect(0.5, 0.34, 0.9, 0.6, second)
    pen.rect(0.06, 0.12, 0.94, 0.33, INK)
    for x in (0.28, 0.5, 0.72):
        pen.star(x, 0.225, 0.09, GOLD)
    pen.oval(0.36, 0.46, 0.64, 0.7, WHITE, INK)


def pennant(pen: Pen) -> None:
    """A fan's triangular flag on a stick."""
    main, second = two_colours(pen.rng)
    pen.rect(0, 0, 0.04, 1, EARTH)
    pen.shape(main, (0.04, 0.02), (1, 0.42), (0.04, 0.82))
    pen.shape(second, (0.04, 0.02), (0.16, 0.07), (0.16, 0.77), (0.04, 0.82))
    pen.star(0.36, 0.42, 0.12, second)
    for x in (0.54, 0.64, 0.74):
        pen.rect(x, 0.37, x + 0.06, 0.47, second)


def stadium(pen: Pen) -> None:
    """A full stadium from above, with the club's banner hung in front."""
    main, second = two_colours(pen.rng)
    pen.oval(0, 0.1, 1, 0.9, STEEL)
    for number in range(46):
        x, y = pen.rng.uniform(0.08, 0.92), pen.rng.uniform(0.2, 0.8)
        if (x - 0.5) ** 2 / 0.2 + (y - 0.5) ** 2 / 0.12 < 1:
            pen.oval(x - 0.02, y - 0.025, x + 0.02, y + 0.025, main if number % 2 else second)
    pen.oval(0.2, 0.26, 0.8, 0.7, (70, 160, 74))
    pen.line(WHITE, 0.012, (0.5, 0.27), (0.5, 0.69))
    for x in (0.1, 0.9):
        pen.line(INK, 0.015, (x, 0), (x, 0.3))
        pen.shape(main, (x, 0), (x + 0.09, 0.05), (x, 0.1))
    pen.rect(0.2, 0.68, 0.8, 1, main)
    _shield(pen, 0.41, 0.71, 0.59, 0.98, second)


def jersey(pen: Pen) -> None:
    """A team's shirt, with nobody in it."""
    main, second = two_colours(pen.rng)
    pen.shape(main, (0.3, 0), (0.7, 0), (1, 0.2), (0.88, 0.42), (0.76, 0.34), (0.76, 1), (0.24, 1), (0.24, 0.34),
              (0.12, 0.42), (0, 0.2))  # fmt: skip
    pen.chord(0.36, -0.12, 0.64, 0.12, 0, 180, INK)
    pen.rect(0.24, 0.4, 0.76, 0.5, second)
    pen.rect(0.24, 0.58, 0.76, 0.64, second)
    _shield(pen, 0.56, 0.16, 0.72, 0.36, second)


def _logo(pen: Pen, x0: float, y0: float, x1: float, y1: float, main: Colour, second: Colour) -> None:
    width, height = x1 - x0, y1 - y0
    style = pen.rng.choice(("rings", "bolt", "slices", "squares"))
    if style != "squares":
        pen.oval(x0, y0, x1, y1, main)
    if style == "rings":
        pen.oval(x0 + 0.2 * width, y0 + 0.2 * height, x1 - 0.2 * width, y1 - 0.2 * height, second)
        pen.oval(x0 + 0.36 * width, y0 + 0.36 * height, x1 - 0.36 * width, y1 - 0.36 * height, main)
    elif style == "bolt":
        corners = ((0.56, 0.1), (0.24, 0.56), (0.46, 0.56), (0.4, 0.9), (0.76, 0.42), (0.53, 0.42))
        pen.shape(second, *[(x0 + x * width, y0 + y * height) for x, y in corners])
    elif style == "slices":
        pen.chord(x0, y0, x1, y1, 300, 60, second)
        pen.chord(x0, y0, x1, y1, 120, 240, INK)
    else:
        for x, y, fill in ((0, 0, main), (0.54, 0, second), (0, 0.54, second), (0.54, 0.54, main)):
            left, top = x0 + x * width, y0 + y * height
            pen.rect(left, top, left + 0.46 * width, top + 0.46 * height, fill, 0.03)


def logo_sign(pen: Pen) -> None:
    """A company's sign: a logo, its name as bars, two posts."""
    main, second = pen.rng.sample(BOLD, 2)
    for x in (0.16, 0.78):
        pen.rect(x, 0.6, x + 0.06, 1, STEEL)
    pen.rect(0, 0, 1, 0.72, main, 0.06)
    pen.rect(0.03, 0.04, 0.97, 0.68, WHITE, 0.05)
    _logo(pen, 0.08, 0.14, 0.44, 0.58, main, second)
    for x, width in ((0.5, 0.09), (0.61, 0.05), (0.68, 0.11), (0.81, 0.08)):
        pen.rect(x, 0.26, x + width, 0.4, INK)
    pen.rect(0.5, 0.47, 0.88, 0.52, STEEL)


def storefront(pen: Pen) -> None:
    """A shop with an awning under its logo."""
    main, second = pen.rng.sample(BOLD, 2)
    pen.rect(0, 0, 1, 0.4, INK)
    _logo(pen, 0.38, 0.03, 0.62, 0.31, WHITE, main)
    pen.rect(0.03, 0.4, 0.97, 1, (214, 206, 196))
    pen.rect(0.1, 0.58, 0.56, 0.88, (150, 206, 226))
    pen.rect(0.66, 0.56, 0.88, 1, second)
    for number in range(8):
        left, fill = number / 8, main if number % 2 else WHITE
        pen.shape(fill, (left, 0.34), (left + 0.125, 0.34), (left + 0.125, 0.52), (left, 0.52))


def seal(pen: Pen) -> None:
    """The round seal of an institution."""
    main, second = pen.rng.sample(BOLD, 2)
    pen.oval(0, 0, 1, 1, GOLD)
    pen.oval(0.04, 0.04, 0.96, 0.96, main)
    pen.oval(0.2, 0.2, 0.8, 0.8, WHITE, GOLD)
    near, far, edge = 0.23, 0.77, 0.12
    around = ((0.5, edge), (far, near), (1 - edge, 0.5), (far, far), (0.5, 1 - edge), (near, far), (edge, 0.5))
    for x, y in (*around, (near, near)):
        pen.star(x, y, 0.06, GOLD)
    _shield(pen, 0.34, 0.28, 0.66, 0.74, second)
    pen.rect(0.34, 0.42, 0.66, 0.5, WHITE)


def lectern(pen: Pen) -> None:
    """A speaker's desk with an emblem and microphones, before a flag."""
    main, second = pen.rng.sample(BOLD, 2)
    pen.rect(0.72, 0, 0.75, 1, STEEL)
    pen.shape(second, (0.75, 0.02), (1, 0.06), (0.98, 0.4), (0.75, 0.36))
    pen.line(INK, 0.025, (0.3, 0.36), (0.24, 0.2))
    pen.line(INK, 0.025, (0.4, 0.36), (0.46, 0.2))
    pen.shape(EARTH, (0, 0.34), (0.7, 0.34), (0.66, 0.44), (0.04, 0.44))
    pen.shape((110, 74, 48), (0.06, 0.44), (0.64, 0.44), (0.6, 1), (0.1, 1))
    pen.oval(0.16, 0.5, 0.54, 0.86, GOLD)
    pen.oval(0.2, 0.54, 0.5, 0.82, main)
    pen.star(0.35, 0.68, 0.11, WHITE)


# Works, devices, prizes


def poster(pen: Pen) -> None:
    """A film poster: a scene, the title as bars."""
    dark = pen.rng.choice(((22, 24, 52), (64, 16, 28), (12, 54, 58)))
    glow = pen.rng.choice((GOLD, (236, 92, 60), WHITE))
    pen.rect(0, 0, 1, 1, INK)
    pen.rect(0.05, 0.035, 0.95, 0.965, dark)
    pen.oval(0.22, 0.1, 0.78, 0.48, glow)
    pen.shape(INK, (0.3, 0.62), (0.4, 0.34), (0.46, 0.3), (0.54, 0.3), (0.6, 0.34), (0.7, 0.62))
    pen.oval(0.42, 0.18, 0.58, 0.31, INK)
    pen.rect(0.12, 0.66, 0.88, 0.76, glow)
    for y in (0.81, 0.86, 0.91):
        pen.rect(0.2, y, 0.8, y + 0.02, STEEL)


def clapper(pen: Pen) -> None:
    """A film crew's clapperboard."""
    pen.rect(0, 0.36, 1, 1, INK, 0.03)
    pen.shape(INK, (0, 0.3), (0.96, 0), (1, 0.14), (0.04, 0.44))
    for x in (0.1, 0.36, 0.62):
        y = 0.28 - 0.31 * x
        pen.shape(WHITE, (x, y), (x + 0.12, y - 0.04), (x + 0.17, y + 0.08), (x + 0.05, y + 0.12))
        pen.shape(WHITE, (x, 0.4), (x + 0.12, 0.4), (x + 0.08, 0.52), (x - 0.04, 0.52))
    for y in (0.64, 0.8):
        pen.line(WHITE, 0.02, (0.08, y), (0.92, y))
    pen.line(WHITE, 0.02, (0.5, 0.64), (0.5, 0.94))
    pen.shape(GOLD, (0.22, 0.84), (0.36, 0.89), (0.22, 0.94))


def record(pen: Pen) -> None:
    """An album: its sleeve and the record half out of it."""
    main, second = pen.rng.sample(BOLD, 2)
    pen.oval(0.34, 0.04, 1, 0.96, INK)
    for shrink in (0.08, 0.16):
        corners = pen.at([(0.34 + shrink, 0.04 + 1.4 * shrink), (1 - shrink, 0.96 - 1.4 * shrink)])
        pen.draw.ellipse(corners, None, (80, 80, 90))
    pen.oval(0.56, 0.35, 0.78, 0.65, second)
    pen.oval(0.64, 0.46, 0.7, 0.54, WHITE)
    pen.rect(0, 0, 0.66, 1, main)
    for left in (0.08, 0.18, 0.28, 0.38, 0.48):
        half = pen.rng.uniform(0.08, 0.3)
        pen.rect(left, 0.5 - half, left + 0.06, 0.5 + half, second)


def trophy(pen: Pen) -> None:
    """A cup with two handles on a base."""
    metal = pen.rng.choice((GOLD, (198, 204, 214), (206, 142, 84)))
    pen.oval(0.0, 0.06, 0.44, 0.46, None, metal)
    pen.oval(0.56, 0.06, 1, 0.46, None, metal)
    pen.rect(0.2, 0, 0.8, 0.26, metal)
    pen.chord(0.2, -0.06, 0.8, 0.6, 0, 180, metal)
    pen.rect(0.44, 0.56, 0.56, 0.8, metal)
    pen.shape(metal, (0.3, 0.84), (0.44, 0.74), (0.56, 0.74), (0.7, 0.84))
    pen.rect(0.22, 0.82, 0.78, 1, INK)
    pen.rect(0.36, 0.87, 0.64, 0.95, metal)
    pen.star(0.5, 0.26, 0.14, WHITE)


def medal(pen: Pen) -> None:
    """A medal on a ribbon."""
    metal, ribbon = pen.rng.choice((GOLD, (198, 204, 214), (206, 142, 84))), pen.rng.choice(BOLD)
    pen.shape(ribbon, (0.1, 0), (0.4, 0), (0.6, 0.5), (0.4, 0.5))
    pen.shape(ribbon, (0.9, 0), (0.6, 0), (0.4, 0.5), (0.6, 0.5))
    pen.oval(0.08, 0.42, 0.92, 1, metal, EARTH)
    pen.star(0.5, 0.72, 0.26, WHITE)


def phone(pen: Pen) -> None:
    """A phone with coloured icons."""
    pen.rect(0, 0, 1, 1, INK, 0.16)
    pen.rect(0.07, 0.09, 0.93, 0.89, pen.rng.choice(((60, 110, 190), (120, 70, 160), (30, 40, 60))))
    for row in range(4):
        for column in range(3):
            x, y = 0.16 + 0.25 * column, 0.15 + 0.17 * row
            pen.rect(x, y, x + 0.18, y + 0.1, pen.rng.choice((*BOLD, GOLD, WHITE)), 0.05)
    pen.oval(0.42, 0.91, 0.58, 0.98, STEEL)


def laptop(pen: Pen) -> None:
    """An open laptop."""
    pen.rect(0.1, 0, 0.9, 0.74, INK, 0.03)
    pen.rect(0.14, 0.06, 0.86, 0.68, pen.rng.choice(((90, 150, 220), (240, 244, 250), (50, 60, 90))))
    pen.rect(0.2, 0.14, 0.52, 0.4, pen.rng.choice(BOLD))
    for y in (0.16, 0.26, 0.36, 0.5):
        pen.rect(0.57, y, 0.8, y + 0.05, STEEL)
    pen.shape(STEEL, (0.1, 0.74), (0.9, 0.74), (1, 0.96), (0, 0.96))
    pen.rect(0, 0.95, 1, 1, (96, 100, 110))
    for y in (0.79, 0.86):
        pen.line(INK, 0.025, (0.16, y), (0.84, y))


def gamepad(pen: Pen) -> None:
    """A console's controller."""
    shell = pen.rng.choice((INK, (230, 230, 234), (40, 70, 140)))
    pen.rect(0.08, 0.08, 0.92, 0.66, shell, 0.14)
    pen.oval(0, 0.2, 0.34, 1, shell)
    pen.oval(0.66, 0.2, 1, 1, shell)
    pen.rect(0.2, 0.2, 0.26, 0.5, STEEL)
    pen.rect(0.13, 0.31, 0.33, 0.39, STEEL)
    for x, y, fill in ((0.76, 0.2, BOLD[0]), (0.83, 0.31, BOLD[5]), (0.69, 0.31, GOLD), (0.76, 0.42, BOLD[3])):
        pen.oval(x - 0.03, y - 0.05, x + 0.03, y + 0.05, fill)
    for x in (0.38, 0.62):
        pen.oval(x - 0.07, 0.46, x + 0.07, 0.7, STEEL)


def stage(pen: Pen) -> None:
    """A festival's stage: beams of light over a crowd."""
    pen.rect(0, 0, 1, 1, (34, 22, 58))
    for x in (0.12, 0.37, 0.63, 0.88):
        tip = pen.rng.uniform(0.1, 0.9)
        beam = pen.rng.choice(((250, 210, 90), (240, 90, 170), (90, 200, 240)))
        pen.shape(beam, (x, 0.1), (min(1, tip + 0.09), 0.7), (max(0, tip - 0.09), 0.7))
    pen.rect(0, 0, 1, 0.1, STEEL)
    pen.rect(0.1, 0.62, 0.9, 0.74, (90, 60, 50))
    for number in range(9):
        x = 0.06 + 0.11 * number
        pen.oval(x - 0.06, 0.76, x + 0.06, 0.98, INK)
        pen.line(pen.rng.choice(SKIN), 0.025, (x, 0.84), (x + pen.rng.uniform(-0.05, 0.05), 0.66))
    pen.rect(0, 0.9, 1, 1, INK)


def ticket(pen: Pen) -> None:
    """An admission ticket with a stub."""
    paper = pen.rng.choice(((244, 206, 96), (240, 150, 130), (150, 214, 190)))
    pen.rect(0, 0, 1, 1, paper, 0.06)
    for x in (0, 1):
        pen.oval(max(0, x - 0.07), 0.36, min(1, x + 0.07), 0.64, INK)
    for y in (0.08, 0.26, 0.44, 0.62, 0.8):
        pen.rect(0.7, y, 0.72, y + 0.1, INK)
    pen.star(0.26, 0.5, 0.15, pen.rng.choice(BOLD))
    for y in (0.26, 0.44, 0.62):
        pen.rect(0.44, y, 0.66, y + 0.09, INK)
    for number in range(5):
        pen.rect(0.77 + 0.03 * number, 0.2, 0.79 + 0.03 * number, 0.8, INK)


EMBLEMS_AND_WORKS: dict[str, tuple[tuple[Drawing, float], ...]] = {
    "team": ((crest, 0.82), (pennant, 1.3), (stadium, 1.25), (jersey, 1.0)),
    "company": ((logo_sign, 1.25), (storefront, 1.15)),
    "body": ((seal, 1.0), (lectern, 0.9), (crest, 0.82)),
    "film": ((poster, 0.68), (clapper, 1.1)),
    "album": ((record, 1.4),),
    "award": ((trophy, 0.8), (medal, 0.6)),
    "device": ((phone, 0.55), (laptop, 1.4), (gamepad, 1.35)),
    "event": ((stage, 1.3), (ticket, 1.6)),
}
