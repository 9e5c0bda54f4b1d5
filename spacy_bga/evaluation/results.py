"""From the JSON files of the runs to `docs/results.md` and to the figures that a machine reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.records import read_json, write_json, write_text

Record = dict[str, Any]

MAIN_PLAN = "twitter2017"
MAIN_RUNS = ("text_only", "bga_pairs", "bga_pairs_shuffled")
EVIDENCE_KEYS = ("seed", "p", "r", "f1", "epochs", "wall_s", "cpu_s", "config", "commit")
RUN_KEYS = ("plan", "run", "seed", "p", "r", "f1")
PACKAGE = "package.json"
ALL_WORKFLOW = "all_workflow.json"


@dataclass(frozen=True)
class Results:
    """All that has been measured.

    plans (dict[str, list[dict]]): The records of each plan's runs, in the plan's order.
    package (dict | None): What `measure-package` wrote. all_workflow (dict | None): What `time-workflow all` wrote.
    """

    plans: dict[str, list[Record]]
    package: Record | None
    all_workflow: Record | None

    @property
    def missing(self) -> list[str]:
        """RETURNS (list[str]): What belongs to the main results and isn't there."""
        names = {record["run"] for record in self.plans.get(MAIN_PLAN, [])}
        missing = [f"the run {name} of the plan {MAIN_PLAN}" for name in MAIN_RUNS if name not in names]
        missing += [] if self.package else ["the size of the package (`python -m spacy_bga measure-package`)"]
        missing += [] if self.all_workflow else ["the time of the workflow `all` (`python -m spacy_bga time-workflow`)"]
        return missing


def write_results(runs: Path, output: Path, evidence: Path) -> Results:
    """Write the results page and the evidence, from files alone: nothing is measured here.

    runs (Path): The folder that `run_plan` wrote into, with what `measure-package` and `time-workflow` wrote.
    output (Path): The Markdown file. evidence (Path): The JSON file.
    RETURNS (Results): What was found.
    """
    from spacy_bga.evaluation.results_page import results_page

    results = read_results(runs)
    write_text(output, results_page(results))
    write_json(evidence, make_evidence(results))
    return results


def read_results(runs: Path) -> Results:
    """RETURNS (Results): All that the folder holds. Raises a BGAError if one of its files can't be read."""
    plans: dict[str, list[Record]] = {}
    for path in sorted(runs.glob("*/*.json")):
        record = read_json(path) or {}
        if absent := [key for key in RUN_KEYS if key not in record]:
            raise BGAError(Errors.B511.format(path=path, reason=f"it has no `{absent[0]}`"))
        plans.setdefault(record["plan"], []).append(record)
    for records in plans.values():
        records.sort(key=lambda record: (record.get("position", 0), record["run"], record["seed"]))
    return Results(plans, read_json(runs / PACKAGE), read_json(runs / ALL_WORKFLOW))


def make_evidence(results: Results) -> dict[str, Any]:
    """The main figures; what hasn't been measured is None.

    results (Results): The results.
    RETURNS (dict[str, Any]): Scores in percent, times in seconds, sizes in millions of bytes.
    """
    groups = by_run(results.plans.get(MAIN_PLAN, []))
    pairs = groups.get("bga_pairs", [])
    package = results.package or {}
    return {
        "twitter2017_test": {
            name: [{key: record.get(key) for key in EVIDENCE_KEYS} for record in groups[name]]
            if name in groups
            else None
            for name in MAIN_RUNS
        },
        "package": {key: package.get(key) for key in ("model_mb", "text_encoder_mb")},
        "all_workflow_s": (results.all_workflow or {}).get("wall_s"),
        "recon": mean_ends(pairs, "recon"),
        "cycle": mean_ends(pairs, "cycle"),
    }


def by_run(records: Iterable[Record]) -> dict[str, list[Record]]:
    """RETURNS (dict[str, list[dict]]): The records of each run's seeds, in their order."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record["run"], []).append(record)
    return groups


def mean(records: Sequence[Record], *keys: str, digits: int = 2) -> float | None:
    """The mean over seeds.

    records (Sequence[dict]): One for each seed. keys (str): Where a record has the number: "f1", or "recon", "end".
    digits (int): Decimals.
    RETURNS (float | None): None if a seed lacks the number: a mean of some would pass for a mean of all.
    """
    values = [_look_up(record, keys) for record in records]
    known = [value for value in values if value is not None]
    return round(fmean(known), digits) if known and len(known) == len(values) else None


def mean_ends(records: Sequence[Record], term: str) -> dict[str, float | None]:
    """RETURNS (dict[str, float | None]): "start" and "end" of a term of the loss, means over seeds."""
    return {end: mean(records, term, end, digits=4) for end in ("start", "end")}


def _look_up(record: Any, keys: Sequence[str]) -> float | None:
    for key in keys:
        record = (record or {}).get(key)
    return record
