"""The figures of the results page, if matplotlib is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.averages import by_run, mean, spread
from spacy_bga.evaluation.differences import Difference
from spacy_bga.evaluation.figures import Point, curve_figure, interval_figure
from spacy_bga.evaluation.records import Record
from spacy_bga.evaluation.results import Results

Figures = Mapping[str, str | None]


def draw_figures(results: Results) -> Figures:
    """Draw what has intervals, and what depends on the number of labels.

    results (Results): The results.
    RETURNS (Mapping[str, str | None]): The SVG by the file's name; None without matplotlib.
    """
    able = find_spec("matplotlib") is not None
    figures: dict[str, str | None] = {}
    for plan, records in results.plans.items():
        if rows := [found for found in results.differences[plan].values() if found.interval]:
            figures[differences_name(plan)] = _differences(plan, rows) if able else None
        if curves := find_curves(records):
            figures[curves_name(plan)] = _curves(plan, curves) if able else None
    return figures


def differences_name(plan: str) -> str:
    """RETURNS (str): The name of the file that shows a plan's differences."""
    return f"{plan}.svg"


def curves_name(plan: str) -> str:
    """RETURNS (str): The name of the file that shows a plan's learning curves."""
    return f"{plan}_labels.svg"


def find_curves(records: Sequence[Record]) -> dict[str, list[Point]]:
    """Find what shows how F1 depends on the number of labelled texts.

    records (Sequence[Record]): The runs of a plan. One that names no curve is on none.
    RETURNS (dict[str, list[Point]]): By the curve's name, for each number of labelled texts the mean F1 over seeds
        and the bounds of its standard deviation.
    RAISES (BGAError): Two runs are the same point of a curve.
    """
    groups: dict[str, dict[int, list[Record]]] = {}
    for group in by_run(records).values():
        labelled, curve = group[0].get("labelled"), group[0].get("curve")
        if labelled is None or curve is None:
            continue
        points = groups.setdefault(curve, {})
        if labelled in points:
            first, second = points[labelled][0]["run"], group[0]["run"]
            raise BGAError(Errors.B536.format(curve=curve, labelled=labelled, first=first, second=second))
        points[labelled] = group
    curves = {}
    for name, numbers in groups.items():
        found = [
            (labelled, mean(group, "f1"), spread(group, "f1") or 0.0) for labelled, group in sorted(numbers.items())
        ]
        curves[name] = [(float(x), f1, f1 - around, f1 + around) for x, f1, around in found if f1 is not None]
    return {name: points for name, points in curves.items() if points}


def _differences(plan: str, found: Sequence[Difference]) -> str:
    others = {difference.other for difference in found}
    common = f" of {others.pop()}" if len(others) == 1 else ""
    rows = [
        (one.run if common else f"{one.run} − {one.other}", *one.interval) for one in found if one.interval is not None
    ]
    title = f"{plan}: F1 minus that{common or ' of another run'}"
    return interval_figure(rows, title=title, unit="points of F1, with 95 % intervals", reference=0)


def _curves(plan: str, curves: Mapping[str, Sequence[Point]]) -> str:
    return curve_figure(
        curves, title=f"{plan}: learning from few labels", x_unit="labelled texts", unit="F1 on the test set, ± SD"
    )
