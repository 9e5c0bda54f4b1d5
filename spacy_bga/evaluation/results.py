"""From the JSON files of the runs to `docs/results.md`, its figures, and the numbers that a machine reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.differences import Difference, find_differences
from spacy_bga.evaluation.records import Record, read_json, write_json, write_text

MAIN_PLAN = "twitter2017"
MAIN_RUNS = ("text_only", "bga_pairs", "bga_pairs_shuffled")
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

    @cached_property
    def differences(self) -> dict[str, dict[str, Difference]]:
        """RETURNS (dict[str, dict[str, Difference]]): By plan and run."""
        return {name: find_differences(records) for name, records in self.plans.items()}

    @property
    def missing(self) -> list[str]:
        """RETURNS (list[str]): What belongs to the main results and isn't there."""
        names = {record["run"] for record in self.plans.get(MAIN_PLAN, [])}
        missing = [f"the run {name} of the plan {MAIN_PLAN}" for name in MAIN_RUNS if name not in names]
        missing += [] if self.package else ["the size of the package (`python -m spacy_bga measure-package`)"]
        missing += [] if self.all_workflow else ["the time of the workflow `all` (`python -m spacy_bga time-workflow`)"]
        return missing


def write_results(runs: Path, output: Path, evidence: Path) -> Results:
    """Write the results page, its figures and the evidence, from files alone: nothing is measured here.

    runs (Path): The folder that `run_plan` wrote into, with what `measure-package` and `time-workflow` wrote.
    output (Path): The Markdown file; the figures go into a folder `figures` beside it.
    evidence (Path): The JSON file of the main figures; `ablation.json` and `alignment.json` go beside it.
    RETURNS (Results): What was found.
    """
    from spacy_bga.evaluation.evidence import ablation_evidence, alignment_evidence, main_evidence
    from spacy_bga.evaluation.plots import draw_figures
    from spacy_bga.evaluation.results_page import results_page

    results = read_results(runs)
    figures = draw_figures(results)
    for name, svg in figures.items():
        if svg is not None:
            write_text(output.parent / "figures" / name, svg)
    write_text(output, results_page(results, figures))
    write_json(evidence, main_evidence(results))
    write_json(evidence.with_name("ablation.json"), ablation_evidence(results))
    pointing = read_json(evidence.with_name("pointing.json"))
    write_json(evidence.with_name("alignment.json"), alignment_evidence(results, pointing))
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
