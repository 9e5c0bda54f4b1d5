"""Sections of the results page that compare runs: differences, ablations, numbers of labels, and costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spacy_bga.evaluation.averages import by_run, mean, spread
from spacy_bga.evaluation.costs import base_cpu, total_cpu
from spacy_bga.evaluation.differences import Difference
from spacy_bga.evaluation.evidence import best_on_dev
from spacy_bga.evaluation.markdown import NONE, interval, number, seconds, signed, table, text
from spacy_bga.evaluation.plots import Figures, curves_name, differences_name, find_curves
from spacy_bga.evaluation.records import Record

DIFFERENCES = (
    "F1 on the test set minus that of the other run, in points, over the seeds that both have. The first interval "
    "holds 95 % of what comes out when the texts of the test set and the seeds are drawn anew (bootstrap, 10,000 "
    "times; with one seed, the texts alone). The second is Student's, over the seeds alone.\n"
)
NO_FIGURE = (
    'The figure `{name}` needs matplotlib: `pip install "spacy_bga[figures]"`, then `python -m spacy_bga results`.\n'
)


def comparison_sections(
    plan: str, records: Sequence[Record], differences: Mapping[str, Difference], figures: Figures
) -> list[str]:
    """RETURNS (list[str]): The sections that there is something for."""
    return [
        *_differences(plan, records, differences, figures),
        *_ablations(records, differences),
        *_curves(plan, records, figures),
        *_costs(records),
    ]


def _differences(
    plan: str, records: Sequence[Record], differences: Mapping[str, Difference], figures: Figures
) -> list[str]:
    if not differences:
        return []
    rows = [
        [
            f"`{found.run}`",
            f"`{found.other}`",
            ", ".join(map(str, found.seeds)),
            signed(found.mean),
            interval(found.interval and found.interval[1:]),
            interval(found.over_seeds and found.over_seeds[1:]),
        ]
        for found in differences.values()
    ]
    titles = ["Run", "Minus", "Seeds", "Difference", "95 % over texts and seeds", "95 % over seeds"]
    parts = ["### Differences\n", DIFFERENCES, table(titles, rows, left=3), *_shared_bases(records)]
    return parts + _figure(differences_name(plan), f"Differences in F1 of the plan {plan}", figures)


def _shared_bases(records: Sequence[Record]) -> list[str]:
    lines = []
    for name, group in by_run(records).items():
        bases = {(start["run"], start["seed"]) for record in group if (start := record.get("starts_from"))}
        if bases and len(bases) < len(group):
            run = next(iter(bases))[0]
            lines.append(
                f"- The {len(group)} seeds of `{name}` start from {len(bases)} of `{run}`, which take turns: in what "
                "they owe to it they are not independent."
            )
    return ["\n".join(lines) + "\n"] if lines else []


def _ablations(records: Sequence[Record], differences: Mapping[str, Difference]) -> list[str]:
    tested = by_run(record for record in records if record["f1"] is not None)
    if not any(record.get("about") for group in tested.values() for record in group):
        return []
    rows = []
    for name, group in tested.items():
        found = differences.get(name)
        change = NONE if found is None else signed(found.mean)
        bounds = interval(found.interval[1:]) if found and found.interval else NONE
        about = text(group[0].get("about") or NONE)
        best = [{"best": best_on_dev(record)} for record in group]
        rows.append(
            [f"`{name}`", about, len(group), number(mean(best, "best")), with_spread(group, "f1"), change, bounds]
        )
    titles = ["Run", "What it is", "Seeds", "Best on dev", "F1", "Difference", "95 %"]
    note = "Settings are chosen by the score on dev. Differences are those of the table above.\n"
    return ["### What each part does\n", note, table(titles, rows, left=2)]


def _curves(plan: str, records: Sequence[Record], figures: Figures) -> list[str]:
    curves = find_curves(records)
    if not curves:
        return []
    points = {name: {x: (f1, high - f1 or None) for x, f1, _, high in found} for name, found in curves.items()}
    rows = []
    for labelled in sorted({x for found in points.values() for x in found}):
        cells = [found.get(labelled) for found in points.values()]
        rows.append([f"{labelled:,.0f}", *(NONE if cell is None else _around(*cell) for cell in cells)])
    note = "F1 on the test set by the number of labelled texts: mean over seeds ± standard deviation.\n"
    parts = ["### Learning from few labels\n", note, table(["Labelled texts", *map(text, points)], rows, left=0)]
    return parts + _figure(curves_name(plan), f"Learning curves of the plan {plan}", figures)


def _costs(records: Sequence[Record]) -> list[str]:
    """Of interest where some runs start from others."""
    if not any(record.get("starts_from") for record in records):
        return []
    rows = []
    totals: dict[str, float | None] = {}
    groups = by_run(records)
    for name, group in groups.items():
        costs = [{"base": base_cpu(record, records), "total": total_cpu(record, records)} for record in group]
        totals[name] = mean(costs, "total")
        rows.append([f"`{name}`", *(seconds(mean(part, key)) for part, key in ((group, "cpu_s"), (costs, "base")))])
    for row, (name, group) in zip(rows, groups.items(), strict=True):
        own, other = totals[name], totals.get(group[0].get("compare_to", ""))
        row += [seconds(own), f"{own / other:.2f} ×" if own and other else NONE]
    note = (
        "CPU seconds of training, means over seeds: of the run itself, of the run that it starts from, of both; and as "
        "a multiple of what the run costs that it is compared to.\n"
    )
    titles = ["Run", "CPU s", "Before it", "Together", "Of the other"]
    return ["### What it costs in training time\n", note, table(titles, rows)]


def with_spread(group: Sequence[Record], key: str) -> str:
    """RETURNS (str): The mean over seeds, with the standard deviation if there are several."""
    return _around(mean(group, key), spread(group, key))


def _around(value: float | None, around: float | None) -> str:
    return f"{number(value)} ± {number(around)}" if around is not None else number(value)


def _figure(name: str, title: str, figures: Figures) -> list[str]:
    if name not in figures:
        return []
    return [f"![{title}](figures/{name})\n" if figures[name] else NO_FIGURE.format(name=name)]
