from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spacy_bga.errors import BGAError
from spacy_bga.evaluation.evidence import ablation_evidence, alignment_evidence
from spacy_bga.evaluation.records import write_json
from spacy_bga.evaluation.results import Results, read_results, write_results
from tests.evaluation.made_records import counted, make_alignment, make_record, untested, write_records

KEYS = ("t2i", "i2t", "explained_beyond_mean", "f1_gain_all", "f1_gain_300", "f1_gain_all_shuffled")
KEYS += ("f1_gain_300_shuffled", "pointing_embedded")
START = {"run": "align", "seed": 0}


def make_plan(name: str = "confirm") -> list[dict[str, Any]]:
    plan = {"plan": name}
    alignments = [{"news": make_alignment(r10), "tweets": make_alignment(r10 / 2)} for r10 in (40.0, 50.0)]
    evidence = ["t2i", "i2t", "explained_beyond_mean"]
    return [
        *(untested("align", seed, evidence=evidence, alignment=alignments[seed], **plan) for seed in (0, 1)),
        *(counted("text_only", seed, 80, **plan) for seed in (0, 1)),
        *(
            counted("bga", seed, 83 + seed, compare_to="text_only", starts_from=START, evidence=["f1_gain_all"], **plan)
            for seed in (0, 1)
        ),
        counted("shuffled", 1, 79, compare_to="text_only", evidence=["f1_gain_all_shuffled"], **plan),
    ]


def results_of(records: list[dict[str, Any]]) -> Results:
    plans: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        plans.setdefault(record["plan"], []).append(record)
    return Results(plans, None, None)


def test_nothing_declared_is_null():
    evidence = alignment_evidence(results_of([make_record("text_only", 0, 80.0)]))
    assert evidence == {**dict.fromkeys(KEYS), "sources": {}}
    assert ablation_evidence(results_of([make_record("text_only", 0, 80.0)])) == []


def test_alignment_is_that_of_the_declared_runs():
    evidence = alignment_evidence(results_of(make_plan()), {"embedded": {"model": 60.0, "centre": 40.0, "n": 9}})
    assert set(evidence) == {*KEYS, "sources"}
    assert evidence["t2i"]["news"] == {
        "n": 500,
        "r1": 1.0,
        "r5": 5.0,
        "r10": 45.0,
        "r10_ci": [43.0, 47.0],
        "chance_r10": 2.0,
        "median_rank": 20.0,
    }
    assert evidence["i2t"]["tweets"]["r10"] == 23.5
    assert evidence["explained_beyond_mean"] == {"news": 0.145, "tweets": 0.1225}
    assert evidence["pointing_embedded"] == {"model": 60.0, "centre": 40.0, "random": None}
    assert evidence["f1_gain_300"] is evidence["f1_gain_300_shuffled"] is None
    gain = evidence["f1_gain_all"]
    assert gain["seeds"] == 2
    assert gain["mean"] == round((200 * 83 / 183 + 200 * 84 / 184) / 2 - 200 * 80 / 180, 2)
    assert gain["ci"][0] <= gain["mean"] <= gain["ci"][1]
    assert gain["seed_ci"][0] < gain["ci"][0]
    shuffled = evidence["f1_gain_all_shuffled"]
    assert (shuffled["seeds"], shuffled["seed_ci"]) == (1, None)
    assert shuffled["mean"] < 0
    assert evidence["sources"]["f1_gain_all"] == {
        "plan": "confirm",
        "run": "bga",
        "compare_to": "text_only",
        "starts_from": START,
        "seeds": [0, 1],
    }


def test_a_set_of_pairs_that_was_not_measured_is_null():
    [first, *others] = make_plan()
    first["alignment"].pop("tweets")
    assert alignment_evidence(results_of([first]))["t2i"]["tweets"] is None
    # Of two seeds one lacks it: half of a mean is none.
    assert alignment_evidence(results_of([first, *others]))["t2i"]["tweets"] is None


def test_two_plans_cannot_give_the_same_evidence():
    with pytest.raises(BGAError, match=r"B535.*'t2i'.*confirm/align.*other/align"):
        alignment_evidence(results_of([*make_plan(), *make_plan("other")]))


def test_ablations_are_those_of_their_plans():
    records = make_plan("ablation_stage2")
    records[-1]["about"] = "images dealt out at random"
    found = ablation_evidence(results_of([*records, make_record("text_only", 0, 80.0)]))
    assert [(entry["run"], entry["seed"]) for entry in found] == [(record["run"], record["seed"]) for record in records]
    assert found[0] == {
        "plan": "ablation_stage2",
        "run": "align",
        "about": None,
        "seed": 0,
        "starts_from": None,
        "compare_to": None,
        "dev": 40.0,
        "f1": None,
        "difference": None,
        "cpu_s": 1200.0,
        "commit": "abc1234",
        "t2i_r10": {"news": 40.0, "tweets": 20.0},
    }
    assert found[4]["cpu_s"] == 2400.0
    assert found[4]["difference"] == round(found[4]["f1"] - found[2]["f1"], 2)
    assert found[4]["dev"] == records[4]["dev_f1"][-1]["f1"]  # a record of an old run has the curve alone
    assert found[-1]["about"] == "images dealt out at random"


def test_all_evidence_is_written(tmp_path: Path):
    write_records(tmp_path / "runs", make_plan("ablation"))
    write_json(tmp_path / "evidence" / "pointing.json", {"embedded": {"model": 60.0, "centre": 40.0, "random": 20.0}})
    write_results(tmp_path / "runs", tmp_path / "results.md", tmp_path / "evidence" / "main_job.json")
    ablation, alignment = (
        json.loads((tmp_path / "evidence" / f"{name}.json").read_text("utf8")) for name in ("ablation", "alignment")
    )
    results = read_results(tmp_path / "runs")
    assert ablation == ablation_evidence(results)
    assert alignment["pointing_embedded"] == {"model": 60.0, "centre": 40.0, "random": 20.0}
    assert {**alignment, "pointing_embedded": None} == alignment_evidence(results)
