"""Records of runs that nobody has trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spacy_bga.evaluation.records import write_json
from spacy_bga.evaluation.results import MAIN_RUNS

SWAPS = {"entity": 0.3, "word": 0.1, "other_text": 0.9, "entity_words": 1.5, "n": 40}


def make_record(run: str, seed: int, f1: float, **changes: Any) -> dict[str, Any]:
    return {
        "plan": "twitter2017",
        "run": run,
        "seed": seed,
        "position": MAIN_RUNS.index(run) if run in MAIN_RUNS else 9,
        "p": f1 - 1,
        "r": f1 + 1,
        "f1": f1,
        "per_type": {"PER": {"p": f1, "r": f1, "f1": f1}},
        "contexts": {},
        "epochs": 3.0,
        "dev_f1": [{"step": 0, "epoch": 0, "f1": 1.0}, {"step": 5, "epoch": 1, "f1": f1}],
        "wall_s": 1234.5,
        "cpu_s": 1200.0,
        "threads": 1,
        "recon": None,
        "cycle": None,
        "config": "configs/starter.cfg",
        "commit": "abc1234",
        "files": {"test": "same"},
        "command": f"python -m spacy_bga runs plan.yml --only {run} --force",
        **changes,
    }


def write_records(folder: Path, records: list[dict[str, Any]]) -> None:
    for record in records:
        write_json(folder / record["plan"] / f"{record['run']}-seed{record['seed']}.json", record)


def make_counts(right: int) -> list[list[int]]:
    """Ten documents with ten entities each: `right` percent of them are found, and nothing else."""
    each, more = divmod(right, 10)
    return [[each + (place < more)] * 2 + [10] for place in range(10)]


def counted(run: str, seed: int, right: int, **changes: Any) -> dict[str, Any]:
    """A record with counts: of 100 gold entities so many are found, so that F1 is 200 * right / (100 + right)."""
    return make_record(run, seed, round(200 * right / (100 + right), 2), counts=make_counts(right), **changes)


def seeing(run: str, seed: int, right: int, with_image: int, **changes: Any) -> dict[str, Any]:
    """A record that was also scored with real images."""
    scored = counted(run, seed, with_image)
    real = {key: scored[key] for key in ("p", "r", "f1", "counts")} | {"images": 7}
    return counted(run, seed, right, contexts={"real": real}, **changes)


def untested(run: str, seed: int, **changes: Any) -> dict[str, Any]:
    """A record of a run without entities."""
    nothing = {"p": None, "r": None, "f1": None, "per_type": {}, "counts": None, "files": {}}
    curve = [{"step": 0, "r10": 2.0}, {"step": 5, "r10": 40.0 + seed}]
    dev_f1 = [{"step": 0, "epoch": 0, "f1": None}, {"step": 5, "epoch": 1, "f1": None}]
    facts = {"dev_best": 40.0 + seed, "best_step": 5, "dev_r10": curve, "dev_f1": dev_f1}
    return {**make_record(run, seed, 0.0), **nothing, **facts, **changes}


def make_alignment(r10: float) -> dict[str, Any]:
    """What `spacy_bga.evaluation.alignment` writes for one set of pairs."""
    found = {"n": 500, "r1": 1.0, "r5": 5.0, "r10": r10, "r10_ci": [r10 - 2, r10 + 2], "chance_r10": 2.0}
    return {
        "t2i": {**found, "median_rank": 20.0},
        "i2t": {**found, "r10": r10 + 1, "median_rank": 21.0},
        "explained_beyond_mean": 0.1 + r10 / 1000,
        "explained_when_scaled": 0.2,
        "keep_text": [0.7, 0.6],
        "keep_visual": [0.5, 0.4],
        "entity_swap": SWAPS,
    }
