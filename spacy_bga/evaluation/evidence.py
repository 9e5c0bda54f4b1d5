"""What has been measured, as files that a machine reads: the main figures, the ablations and the alignment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.averages import by_run, look_up, mean, mean_ends
from spacy_bga.evaluation.costs import total_cpu
from spacy_bga.evaluation.differences import Difference, pair_up
from spacy_bga.evaluation.plan import EVIDENCE, GAINS
from spacy_bga.evaluation.records import Record
from spacy_bga.evaluation.results import MAIN_PLAN, MAIN_RUNS, Results

MAIN_KEYS = ("seed", "p", "r", "f1", "epochs", "wall_s", "cpu_s", "config", "commit")
ABLATION = "ablation"
PAIRS = ("news", "tweets")
RETRIEVAL = ("r1", "r5", "r10", "chance_r10", "median_rank")
POINTING = ("model", "centre", "random")


def main_evidence(results: Results) -> dict[str, Any]:
    """The main figures; what hasn't been measured is None.

    results (Results): The results.
    RETURNS (dict[str, Any]): Scores in percent, times in seconds, sizes in millions of bytes.
    """
    groups = by_run(results.plans.get(MAIN_PLAN, []))
    pairs = groups.get("bga_pairs", [])
    package = results.package or {}
    return {
        "twitter2017_test": {
            name: [{key: record.get(key) for key in MAIN_KEYS} for record in groups[name]] if name in groups else None
            for name in MAIN_RUNS
        },
        "package": {key: package.get(key) for key in ("model_mb", "text_encoder_mb")},
        "all_workflow_s": (results.all_workflow or {}).get("wall_s"),
        "recon": mean_ends(pairs, "recon"),
        "cycle": mean_ends(pairs, "cycle"),
    }


def ablation_evidence(results: Results) -> list[dict[str, Any]]:
    """The runs of all plans whose names begin with "ablation".

    results (Results): The results.
    RETURNS (list[dict]): For each run and seed "dev", the best score on dev in percent, with the config's own measure;
        "f1" on the test set and its "difference" from that of the same seed of `compare_to`; "cpu_s" with the training
        that had to come before; and whatever retrieval was measured.
    """
    found = []
    for plan in sorted(name for name in results.plans if name.startswith(ABLATION)):
        records = results.plans[plan]
        groups = by_run(records)
        for record in records:
            pairs = pair_up([record], groups.get(record.get("compare_to", ""), []))
            found.append(
                {key: record.get(key) for key in ("plan", "run", "about", "seed", "starts_from", "compare_to")}
                | {"dev": best_on_dev(record), "f1": record["f1"]}
                | {"difference": round(record["f1"] - pairs[0][1]["f1"], 2) if pairs else None}
                | {"cpu_s": total_cpu(record, records), "commit": record.get("commit")}
                | {"t2i_r10": {name: look_up(part, "t2i", "r10") for name, part in _measured(record).items()} or None}
            )
    return found


def alignment_evidence(results: Results, pointing: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the plans declare as evidence of alignment, and of what it is good for; means over seeds.

    results (Results): The results. pointing (Mapping[str, Any] | None): What the pointing game has shown.
    RETURNS (dict[str, Any]): By the keys of a plan's `evidence`, and "pointing_embedded"; what isn't there is None.
        "sources" says which runs and seeds it is made from.
    RAISES (BGAError): Several plans declare the same key.
    """
    makers: dict[str, Callable[[Sequence[Record]], Any]] = {
        "t2i": lambda records: {name: _retrieval(records, name, "t2i") for name in PAIRS},
        "i2t": lambda records: {name: _retrieval(records, name, "i2t") for name in PAIRS},
        "explained_beyond_mean": lambda records: {
            name: mean(records, "alignment", name, "explained_beyond_mean", digits=4) for name in PAIRS
        },
    }
    evidence: dict[str, Any] = {}
    sources: dict[str, Any] = {}
    for key in EVIDENCE:
        records = _feeding(results, key)
        difference = results.differences[records[0]["plan"]].get(records[0]["run"]) if records else None
        evidence[key] = _gain(difference) if key in GAINS else makers[key](records) if records else None
        if records:
            facts = {name: records[0].get(name) for name in ("plan", "run", "compare_to", "starts_from")}
            sources[key] = {**facts, "seeds": [record["seed"] for record in records]}
    embedded = (pointing or {}).get("embedded")
    evidence["pointing_embedded"] = {key: embedded.get(key) for key in POINTING} if embedded else None
    return {**evidence, "sources": sources}


def best_on_dev(record: Record) -> float | None:
    """RETURNS (float | None): The score of the best step; a file of an old run has only the curve of F1."""
    if "dev_best" in record:
        return record["dev_best"]
    return max((row["f1"] for row in record.get("dev_f1") or [] if row["f1"] is not None), default=None)


def _measured(record: Record) -> dict[str, Any]:
    return record.get("alignment") or {}


def _feeding(results: Results, key: str) -> list[Record]:
    """RETURNS (list[dict]): The records of the run that was declared for a key."""
    groups = [
        records
        for plan in sorted(results.plans)
        for records in by_run(results.plans[plan]).values()
        if any(key in record.get("evidence", ()) for record in records)
    ]
    if len(groups) > 1:
        first, second = (f"{records[0]['plan']}/{records[0]['run']}" for records in groups[:2])
        raise BGAError(Errors.B535.format(key=key, first=first, second=second))
    return groups[0] if groups else []


def _retrieval(records: Sequence[Record], name: str, direction: str) -> dict[str, Any] | None:
    n = mean(records, "alignment", name, direction, "n")
    if n is None:
        return None
    place = ("alignment", name, direction)
    bounds = [mean(records, *place, "r10_ci", bound) for bound in (0, 1)]
    return {"n": int(n), **{key: mean(records, *place, key) for key in RETRIEVAL}, "r10_ci": bounds}


def _gain(difference: Difference | None) -> dict[str, Any] | None:
    if difference is None:
        return None
    interval, over_seeds = difference.interval, difference.over_seeds
    return {
        "mean": round(difference.mean, 2),
        "ci": None if interval is None else [round(bound, 2) for bound in interval[1:]],
        "seeds": len(difference.seeds),
        "seed_ci": None if over_seeds is None else [round(bound, 2) for bound in over_seeds[1:]],
    }
