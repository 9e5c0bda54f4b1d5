"""The page of results, in Markdown: tables, computed differences, and the command behind each number."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from spacy_bga.evaluation.alignment_sections import alignment_sections
from spacy_bga.evaluation.averages import by_run, mean, mean_ends
from spacy_bga.evaluation.comparison_sections import comparison_sections, with_spread
from spacy_bga.evaluation.differences import Difference
from spacy_bga.evaluation.markdown import NONE, number, seconds, signed, table, text
from spacy_bga.evaluation.plots import Figures
from spacy_bga.evaluation.published import TWITTER2017
from spacy_bga.evaluation.records import Record
from spacy_bga.evaluation.results import MAIN_PLAN, Results
from spacy_bga.evaluation.visual_context_section import visual_context_section

EFFORTS = ("Wall s", "CPU s", "Threads", "Commit")
HEADER = """# Results

<!-- Made by `python -m spacy_bga results` from the files of the runs. Don't edit: run it again. -->

Scores are entity-level precision, recall and F1 on the test set, in percent, of texts without any image where
nothing else is said. The test set is scored once a run, with the weights that were best on dev. An epoch is a pass over
the labelled texts, counted up to those weights. Of several seeds: the mean ± the standard deviation. Times are of
training, evaluations on dev and the extraction of visual features included; a run whose features an earlier one left in
the cache is spared their extraction.
"""


def results_page(results: Results, figures: Figures) -> str:
    """Write the page.

    results (Results): What to tell.
    figures (Mapping[str, str | None]): The figures beside it, by name; None for one that can't be drawn here.
    RETURNS (str): The page.
    """
    parts = [HEADER]
    if results.missing:
        parts.append("**Not measured yet:** " + "; ".join(results.missing) + ".\n")
    for name, records in sorted(results.plans.items(), key=lambda item: (item[0] != MAIN_PLAN, item[0])):
        parts += _plan(name, records, results.differences[name], figures)
    parts += _package(results) + _workflow(results)
    return "\n".join(parts)


def _plan(name: str, records: list[Record], differences: Mapping[str, Difference], figures: Figures) -> list[str]:
    groups = by_run(records)
    tested = by_run(record for record in records if record["f1"] is not None)
    parts = [f"## {name}\n", *_scores(tested)]
    parts += comparison_sections(name, records, differences, figures)
    parts += _untested(groups.keys() - tested.keys(), groups) + alignment_sections(groups)
    parts += visual_context_section(records) + _contexts(tested) + _terms(groups) + _types(tested)
    parts += _curve("F1 on dev while training", "dev_f1", "f1", tested)
    parts += _curve("R@10 on dev while learning to align", "dev_r10", "r10", groups)
    if name == MAIN_PLAN:
        parts += _published()
    return [*parts, "### Commands\n", _commands(groups)]


def _scores(groups: dict[str, list[Record]]) -> list[str]:
    if not groups:
        return []
    rows: list[list[Any]] = []
    for name, records in groups.items():
        for record in records:
            scores = [number(record[key]) for key in ("p", "r", "f1")]
            rows.append([f"`{name}`", record["seed"], *scores, number(record.get("epochs")), *_efforts(record)])
        if len(records) > 1:
            means = [with_spread(records, key) for key in ("p", "r", "f1")]
            rows.append([f"`{name}`", f"mean of {len(records)}", *means, *[""] * 5])
    titles = ["Run", "Seed", "P", "R", "F1", "Epochs", *EFFORTS]
    return [table(titles, rows, left=2), *_notes(groups)]


def _untested(names: Set[str], groups: dict[str, list[Record]]) -> list[str]:
    """Runs without entities: others start from them, or they show what can be aligned."""
    rows: list[list[Any]] = []
    for record in (record for name, records in groups.items() if name in names for record in records):
        scores = [number(_recall_on_dev(record)), number(record.get("epochs"))]
        about = text(record.get("about") or NONE)
        rows.append([f"`{record['run']}`", about, record["seed"], *scores, *_efforts(record)])
    if not rows:
        return []
    note = (
        "These runs learn from image-text pairs alone, and tag nothing. On dev, R@10 in percent, with the weights that "
        "were kept: the share of texts whose own image is among the 10 most alike of all.\n"
    )
    titles = ["Run", "What it is", "Seed", "On dev", "Epochs", *EFFORTS]
    return ["### Learning to align\n", note, table(titles, rows, left=3)]


def _recall_on_dev(record: Record) -> float | None:
    """RETURNS (float | None): At the best step. What chose that step may be another score, or none."""
    return next((row["r10"] for row in record.get("dev_r10") or [] if row["step"] == record.get("best_step")), None)


def _efforts(record: Record) -> list[Any]:
    times = [seconds(record.get("wall_s")), seconds(record.get("cpu_s"))]
    return [*times, record.get("threads"), _commit(record)]


def _commit(record: Record) -> str:
    return f"`{record['commit']}`" if record.get("commit") else NONE


def _notes(groups: dict[str, list[Record]]) -> list[str]:
    """Computed facts only: what they mean is for a reader to say, who knows how much seeds differ."""
    lines = []
    if not any(record.get("compare_to") for records in groups.values() for record in records):
        lines += _pairwise({name: mean(records, "f1") for name, records in groups.items()})
    for name, records in groups.items():
        if len(records) > 1:
            found = [record["f1"] for record in records]
            lines.append(f"- F1 of `{name}` goes from {min(found):.2f} to {max(found):.2f} over {len(found)} seeds.")
    if single := [f"`{name}`" for name, records in groups.items() if len(records) == 1]:
        lines.append(f"- One seed only, so the spread over seeds is not known: {', '.join(single)}.")
    tests = {(record.get("files") or {}).get("test") for records in groups.values() for record in records}
    if len(tests) > 1:
        lines.append("- These runs were **not** scored on the same test file.")
    return ["\n".join(lines) + "\n"] if lines else []


def _pairwise(means: dict[str, float | None]) -> list[str]:
    """The differences of a plan that doesn't say which ones matter."""
    names = list(means)
    lines = []
    for place, name in enumerate(names):
        for other in names[:place]:
            if (ours := means[name]) is not None and (theirs := means[other]) is not None:
                lines.append(f"- F1 of `{name}` minus F1 of `{other}`: {signed(ours - theirs)} points.")
    return lines


def _contexts(groups: dict[str, list[Record]]) -> list[str]:
    rows = []
    for name, records in groups.items():
        contexts = dict.fromkeys(key for record in records for key in record.get("contexts") or {} if key != "real")
        own = mean(records, "f1")
        for context in contexts:
            scores = [mean(records, "contexts", context, key) for key in ("p", "r", "f1")]
            change = None if scores[-1] is None or own is None else scores[-1] - own
            rows.append([f"`{name}`", context, *map(number, scores), NONE if change is None else signed(change)])
    if not rows:
        return []
    note = (
        "The same weights on the same test set, but with the generated visual features set to zero, or with those of "
        "another text of the batch (means over seeds). The change is that of F1.\n"
    )
    return [
        "### With other visual features\n",
        note,
        table(["Run", "Features", "P", "R", "F1", "Change"], rows, left=2),
    ]


def _terms(groups: dict[str, list[Record]]) -> list[str]:
    rows = []
    for name, records in groups.items():
        for term in ("recon", "cycle", "contrast"):
            ends = mean_ends(records, term)
            if (start := ends["start"]) is not None and (end := ends["end"]) is not None:
                change = signed(100 * (end - start) / start, 1) + " %" if start else NONE
                rows.append([f"`{name}`", term, f"{start:.4f}", f"{end:.4f}", change])
    if not rows:
        return []
    note = "Means over the updates of the first and of the last row of the training log, unweighted, over seeds.\n"
    return ["### Alignment losses\n", note, table(["Run", "Term", "Start", "End", "Change"], rows, left=2)]


def _types(groups: dict[str, list[Record]]) -> list[str]:
    labels = sorted(
        {label for records in groups.values() for record in records for label in record.get("per_type", {})}
    )
    if not labels:
        return []
    rows = []
    for name, records in groups.items():
        cells = []
        for label in labels:
            scores = [mean(records, "per_type", label, key) for key in ("p", "r", "f1")]
            cells.append(" / ".join(map(number, scores)))
        rows.append([f"`{name}`", *cells])
    return ["### By entity type\n", "P / R / F1, means over seeds.\n", table(["Run", *labels], rows)]


def _curve(title: str, place: str, key: str, groups: dict[str, list[Record]]) -> list[str]:
    """Means over seeds, at the steps that all seeds of a run have."""
    curves: dict[str, dict[int, float | None]] = {}
    for name, records in groups.items():
        seeds = [{row["step"]: row[key] for row in record.get(place) or []} for record in records]
        common = set.intersection(*(set(seed) for seed in seeds))
        if common:
            curves[name] = {step: mean([{key: seed[step]} for seed in seeds], key) for step in common}
    if not curves:
        return []
    steps = sorted({step for curve in curves.values() for step in curve})
    rows = [[step, *(number(curve.get(step)) for curve in curves.values())] for step in steps]
    return [f"### {title}\n", table(["Step", *(f"`{name}`" for name in curves)], rows, left=0)]


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
    note = (
        "For orientation, on the test set of Twitter-2017: these systems have other encoders and, where they use "
        "images, learn from the benchmark's own. Confirmed: read in a paper that reports it; the others are quoted "
        "from memory.\n"
    )
    return ["### Published numbers\n", note, table(["System", "Encoders", "P", "R", "F1", "Confirmed"], rows, left=2)]


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
