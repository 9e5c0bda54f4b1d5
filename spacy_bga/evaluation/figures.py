"""Figures of measures with their intervals, as SVG. They need matplotlib: `pip install "spacy_bga[figures]"`.

The same numbers make the same text, as long as matplotlib stays the same: a figure can be kept under version control.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from spacy_bga.errors import BGAError, Errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row: TypeAlias = tuple[str, float, float, float]
Point: TypeAlias = tuple[float, float, float, float]
Series: TypeAlias = Sequence[tuple[float, float]]

SETTINGS = {
    "svg.hashsalt": "spacy_bga",  # or ids are random
    "svg.fonttype": "none",  # text stays text: it can be searched, and read aloud
    "text.parse_math": False,  # a "$" in a label is a dollar
    "axes.spines.top": False,
    "axes.spines.right": False,
}
METADATA = {"Date": None, "Creator": "spacy_bga"}
WIDTH = 7.0  # inches
PANELS = 2  # beside each other


def interval_figure(rows: Sequence[Row], *, title: str, unit: str, reference: float | None = None) -> str:
    """A point with its interval for each row, from top to bottom.

    rows (Sequence[tuple[str, float, float, float]]): Label, mean, and the interval's bounds.
    title (str): The figure's title. unit (str): What the numbers are. reference (float | None): Where to draw a line to
        compare with, such as 0 for differences.
    RETURNS (str): The SVG.
    RAISES (BGAError): If there is no matplotlib, no row, or a number that isn't finite.
    """
    _check(title, [[numbers for _, *numbers in rows]])
    labels, means, lows, highs = zip(*rows, strict=True)

    def draw(axes: Axes) -> None:
        places = range(len(rows))
        if reference is not None:
            axes.axvline(reference, color="grey", linestyle="dashed", linewidth=1)
        axes.hlines(places, lows, highs, linewidth=2)
        axes.plot(means, places, "o")
        axes.set_yticks(places, labels)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(unit)

    return _svg(draw, title=title, height=1.2 + 0.35 * len(rows))


def curve_figure(
    curves: Mapping[str, Sequence[Point]], *, title: str, x_unit: str, unit: str, log_x: bool = True
) -> str:
    """A line for each curve, in a band of its intervals.

    curves (Mapping[str, Sequence[tuple[float, float, float, float]]]): For each name the points: x, mean, and the
        interval's bounds, in any order.
    title (str): The figure's title. x_unit, unit (str): What the numbers of both axes are.
    log_x (bool): Whether the x axis is logarithmic, with a tick for each x there is.
    RETURNS (str): The SVG.
    RAISES (BGAError): If there is no matplotlib, a curve has no points, a number isn't finite, or a logarithmic x isn't
        positive.
    """
    _check(title, curves.values())
    xs = sorted({x for points in curves.values() for x, *_ in points})
    if log_x and xs[0] <= 0:
        raise BGAError(Errors.B522.format(title=title, reason=f"x = {xs[0]} has no place on a logarithmic axis"))

    def draw(axes: Axes) -> None:
        for name, points in curves.items():
            x, means, lows, highs = zip(*sorted(points), strict=True)
            axes.plot(x, means, "o-", label=name)
            axes.fill_between(x, lows, highs, alpha=0.2)
        if log_x:
            axes.set_xscale("log")
            axes.set_xticks(xs, [f"{x:,.12g}" for x in xs])
            axes.minorticks_off()
        axes.set_xlabel(x_unit)
        axes.set_ylabel(unit)
        axes.legend(frameon=False)

    return _svg(draw, title=title, height=4.0)


def panel_figure(panels: Mapping[str, Mapping[str, Series]], *, title: str, x_unit: str) -> str:
    """Small figures side by side that share their x axis and the colours of their lines.

    panels (Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]): For each panel, by what it shows, the x and y of
        each line, by the line's name. A y that isn't finite leaves a gap.
    title (str): The figure's title. x_unit (str): What the numbers of the x axis are.
    RETURNS (str): The SVG.
    RAISES (BGAError): If there is no matplotlib, no panel, or a panel or line has nothing in it.
    """
    if not panels or not all(panels.values()) or not all(all(lines.values()) for lines in panels.values()):
        raise BGAError(Errors.B522.format(title=title, reason="there is nothing in it"))
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    rows = math.ceil(len(panels) / PANELS)

    def draw(figure: Figure) -> None:
        figure.suptitle(title)
        grid = figure.subplots(rows, min(PANELS, len(panels)), sharex=True, squeeze=False).ravel()
        for axes, (shown, lines) in zip(grid, panels.items(), strict=False):
            axes.set_title(shown, fontsize="medium")
            for name, points in lines.items():
                axes.plot(*zip(*points, strict=True), ".-", color=f"C{names.index(name)}", label=name)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        for axes in grid[max(len(panels) - PANELS, 0) : len(panels)]:  # the lowest of each column
            axes.set_xlabel(x_unit)
            axes.tick_params(labelbottom=True)
        if len(names) > 1:
            legend = {str(line.get_label()): line for axes in grid for line in axes.get_lines()}
            figure.legend(list(legend.values()), list(legend), loc="outside lower center", ncols=min(3, len(names)))

    return _figure_svg(draw, height=0.6 + 2.2 * rows + 0.3 * math.ceil(len(names) / 3))


def _svg(draw: Callable[[Axes], None], *, title: str, height: float) -> str:
    def draw_all(figure: Figure) -> None:
        axes = figure.subplots()
        axes.set_title(title)
        draw(axes)

    return _figure_svg(draw_all, height=height)


def _figure_svg(draw: Callable[[Figure], None], *, height: float) -> str:
    try:
        from matplotlib import style
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BGAError(Errors.B521) from error
    text = io.StringIO()
    with style.context(["default", SETTINGS]):  # whatever the user's own settings are
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure)
        figure.savefig(text, format="svg", metadata=METADATA)
    return text.getvalue()


def _check(title: str, series: Collection[Sequence[Sequence[float]]]) -> None:
    if not series or not all(series):
        raise BGAError(Errors.B522.format(title=title, reason="there is nothing in it"))
    if not all(math.isfinite(number) for points in series for numbers in points for number in numbers):
        raise BGAError(Errors.B522.format(title=title, reason="a number is not finite"))
