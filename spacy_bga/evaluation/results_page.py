"""The page of results, in Markdown: tables, computed differences, and the command behind each number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from spacy_bga.evaluation.published import TWITTER2017
from spacy_bga.evaluation.results import MAIN_PLAN, Record, Results, by_run, mean, mean_ends

NONE = "–"
HEADER = """# Results

<!-- Made by `python -m spacy_bga results` from the files of the runs. Don't edit: run it again. -->

Scores are entity-level precision, recall and F1 on the test set, in percent, of texts without any image. The test set
is scored once a run, with the weights that were best on dev. An epoch is a pass over the labelled texts, counted up to
those weights. Times are of training, evaluations on dev and the extraction of visual features included; a run whose
features an earlier one left in the cache is spared their extraction.
"""


def results_page(results: Results) -> str:
    """RETURNS (str): The page."""
    parts = [HEADER]
    if results.missing:
        parts.append("**Not measured yet:** " + "; ".join(results.missing) + ".\n")
    for name, records in sorted(results.plans.items(), key=lambda item: (item[0] != MAIN_PLAN, item[0])):
        parts += _plan(name, records)
    parts += _package(results) + _workflow(results)
    return "\n".join(parts)


def _plan(name: str, records: list[Record]) -> list[str]:
    groups = by_run(records)
    parts = [f"## {name}\n", _scores(groups), _differences(groups)]
    parts += _contexts(groups) + _terms(groups)
    parts += ["### By entity type\n", _types(groups), "### F1 on dev while training\n", _curve(records)]
    if name == MAIN_PLAN:
        parts += _published()
    return [*parts, "### Commands\n", _commands(groups)]


def _scores(groups: dict[str, list[Record]]) -> str:
    rows: list[list[Any]] = []
    for name, records in groups.items():
        for record in records:
            times = [seconds(record.get("wall_s")), seconds(record.get("cpu_s")), record.get("threads")]
            scores = [number(record[key]) for key in ("p", "r", "f1")]
            rows.append([f"`{name}`", record["seed"], *scores, number(record.get("epochs")), *times, _commit(record)])
        if len(records) > 1:
            means = [number(mean(records, key)) for key in ("p", "r", "f1")]
            rows.append([f"`{name}`", f"mean of {len(records)}", *means, *[""] * 5])
    titles = ["Run", "Seed", "P", "R", "F1", "Epochs", "Wall s", "CPU s", "Threads", "Commit"]
    return table(titles, rows, left=2)


def _commit(record: Record) -> str:
    return f"`{record['commit']}`" if record.get("commit") else NONE


def _differences(groups: dict[str, list[Record]]) -> str:
    """Computed facts only: what they mean is for a reader to say, who knows how much seeds differ."""
    names = list(groups)
    means = {name: mean(records, "f1") for name, records in groups.items()}
    lines = []
    for place, name in enumerate(names):
        for other in names[:place]:
            if (ours := means[name]) is not None and (theirs := means[other]) is not None:
                lines.append(f"- F1 of `{name}` minus F1 of `{other}`: {signed(ours - theirs)} points.")
    for name, records in groups.items():
        if len(records) > 1 and all(record["f1"] is not None for record in records):
            found = [record["f1"] for record in records]
            lines.append(f"- F1 of `{name}` goes from {min(found):.2f} to {max(found):.2f} over {len(found)} seeds.")
    if single := [f"`{name}`" for name, records in groups.items() if len(records) == 1]:
        lines.append(f"- One seed only, so the spread over seeds is not known: {', '.join(single)}.")
    tests = {(record.get("files") or {}).get("test") for records in groups.values() for record in records}
    if len(tests) > 1:
        lines.append("- These runs were **not** scored on the same test file.")
    return "\n".join(lines) + "\n"


def _contexts(groups: dict[str, list[Record]]) -> list[str]:
    rows = []
    for name, records in groups.items():
        contexts = dict.fromkeys(key for record in records for key in record.get("contexts") or {})
        own = mean(records, "f1")
        for context in contexts:
            scores = [mean(records, "contexts", context, key) for key in ("p", "r", "f1")]
            change = None if scores[-1] is None or own is None else scores[-1] - own
            rows.append([f"`{name}`", context, *map(number, scores), NONE if change is None else signed(change)])
    if not rows:
        return []
    text = (
        "The same weights on the same test set, but with the generated visual features set to zero, or with those of "
        "another text of the batch (means over seeds). The change is that of F1.\n"
    )
    return [
        "### With other visual features\n",
        text,
        table(["Run", "Features", "P", "R", "F1", "Change"], rows, left=2),
    ]


def _terms(groups: dict[str, list[Record]]) -> list[str]:
    rows = []
    for name, records in groups.items():
        for term in ("recon", "cycle"):
            ends = mean_ends(records, term)
            if (start := ends["start"]) is not None and (end := ends["end"]) is not None:
                change = signed(100 * (end - start) / start, 1) + " %" if start else NONE
                rows.append([f"`{name}`", term, f"{start:.4f}", f"{end:.4f}", change])
    if not rows:
        return []
    text = "Means over the updates of the first and of the last row of the training log, unweighted, over seeds.\n"
    return ["### Alignment losses\n", text, table(["Run", "Term", "Start", "End", "Change"], rows, left=2)]


def _types(groups: dict[str, list[Record]]) -> str:
    labels = sorted(
        {label for records in groups.values() for record in records for label in record.get("per_type", {})}
    )
    rows = []
    for name, records in groups.items():
        cells = []
        for label in labels:
            scores = [mean(records, "per_type", label, key) for key in ("p", "r", "f1")]
            cells.append(" / ".join(map(number, scores)))
        rows.append([f"`{name}`", *cells])
    return "P / R / F1, means over seeds.\n\n" + table(["Run", *labels], rows)


def _curve(records: list[Record]) -> str:
    curves = [{row["step"]: row["f1"] for row in record.get("dev_f1") or []} for record in records]
    titles = ["Step", *(f"`{record['run']}` seed {record['seed']}" for record in records)]
    rows = [
        [step, *(number(curve.get(step)) for curve in curves)] for step in sorted({step for c in curves for step in c})
    ]
    return table(titles, rows, left=0)


def _published() -> list[str]:
    rows = [
        [
            entry.system,
            entry.encoder or NONE,
            *map(number, (entry.p, entry.r, entry.f1)),
            "yes" if entry.confirmed else "no",
        ]
        for entry in TWITTER2017
    ]
    text = (
        "For orientation, on the test set of Twitter-2017: these systems have other encoders and, where they use "
        "images, learn from the benchmark's own. Confirmed: read in a paper that reports it; the others are quoted "
        "from memory.\n"
    )
    return ["### Published numbers\n", text, table(["System", "Encoders", "P", "R", "F1", "Confirmed"], rows, left=2)]


def _commands(groups: dict[str, list[Record]]) -> str:
    commands = dict.fromkeys(r["command"] for records in groups.values() for r in records if r.get("command"))
    return "```console\n" + "\n".join(commands) + "\n```\n"


def _package(results: Results) -> list[str]:
    if not results.package:
        return []
    names = {"model_mb": "The component's model folder", "text_encoder_mb": "The text encoder's weights"}
    rows = [[title, number(results.package.get(key))] for key, title in names.items()]
    return ["## Size of the package\n", table(["What", "MB (10^6 bytes)"], rows)]


def _workflow(results: Results) -> list[str]:
    if not results.all_workflow:
        return []
    facts = results.all_workflow
    line = f"`python -m spacy project run {facts['workflow']} --force`: {seconds(facts['wall_s'])} s by the clock"
    return ["## The whole workflow\n", f"{line}, at commit {_commit(facts)}.\n"]


def table(titles: Sequence[str], rows: Iterable[Sequence[Any]], *, left: int = 1) -> str:
    """RETURNS (str): A Markdown table whose first `left` columns are flush left, the others right."""
    marks = ["---" if place < left else "--:" for place in range(len(titles))]
    lines = [titles, marks, *([NONE if cell is None else str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def number(value: float | None) -> str:
    """RETURNS (str): A number with two decimals, or a dash."""
    return NONE if value is None else f"{value:.2f}"


def seconds(value: float | None) -> str:
    """RETURNS (str): Whole seconds, or a dash."""
    return NONE if value is None else f"{value:,.0f}"


def signed(value: float, digits: int = 2) -> str:
    """RETURNS (str): A difference with its sign; 0 has none."""
    rounded = round(value, digits)
    return f"{rounded:+.{digits}f}" if rounded else f"{0:.{digits}f}"
