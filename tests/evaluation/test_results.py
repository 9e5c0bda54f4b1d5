from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spacy_bga.errors import BGAError
from spacy_bga.evaluation.evidence import main_evidence
from spacy_bga.evaluation.markdown import signed
from spacy_bga.evaluation.records import write_json
from spacy_bga.evaluation.results import read_results, write_results
from tests.evaluation.made_records import make_record, write_records


def aligned(seed: int, f1: float, *, end: float) -> dict[str, Any]:
    contexts = {"zero": {"p": f1 - 3, "r": f1 - 3, "f1": f1 - 3}}
    ends = {"recon": {"start": 4.0, "end": end}, "cycle": {"start": 2.0, "end": end}}
    return make_record("bga_pairs", seed, f1, contexts=contexts, **ends)


def test_nothing_measured_is_nothing_claimed(tmp_path: Path):
    results = write_results(tmp_path / "runs", tmp_path / "results.md", tmp_path / "evidence" / "main.json")
    assert len(results.missing) == 5
    page = (tmp_path / "results.md").read_text(encoding="utf8")
    for piece in results.missing:
        assert piece in page
    assert json.loads((tmp_path / "evidence" / "main.json").read_text(encoding="utf8")) == {
        "twitter2017_test": {"text_only": None, "bga_pairs": None, "bga_pairs_shuffled": None},
        "package": {"model_mb": None, "text_encoder_mb": None},
        "all_workflow_s": None,
        "recon": {"start": None, "end": None},
        "cycle": {"start": None, "end": None},
    }


def test_evidence_and_page_say_what_the_records_say(tmp_path: Path):
    runs = tmp_path / "runs"
    records = [make_record("text_only", 0, 80.0), aligned(0, 81.0, end=1.0), aligned(1, 82.5, end=2.0)]
    write_records(runs, records)
    write_json(runs / "package.json", {"model_mb": 91.5, "text_encoder_mb": 90.9})
    write_json(runs / "all_workflow.json", {"workflow": "all", "wall_s": 250.4, "commit": "abc1234"})
    results = write_results(runs, tmp_path / "results.md", tmp_path / "main.json")
    assert results.missing == ["the run bga_pairs_shuffled of the plan twitter2017"]

    evidence = json.loads((tmp_path / "main.json").read_text(encoding="utf8"))
    assert evidence["twitter2017_test"]["text_only"] == [
        {
            "seed": 0,
            "p": 79.0,
            "r": 81.0,
            "f1": 80.0,
            "epochs": 3.0,
            "wall_s": 1234.5,
            "cpu_s": 1200.0,
            "config": "configs/starter.cfg",
            "commit": "abc1234",
        }
    ]
    assert [entry["seed"] for entry in evidence["twitter2017_test"]["bga_pairs"]] == [0, 1]
    assert evidence["twitter2017_test"]["bga_pairs_shuffled"] is None
    assert evidence["recon"] == {"start": 4.0, "end": 1.5}
    assert evidence["cycle"] == {"start": 2.0, "end": 1.5}
    assert evidence["package"]["model_mb"] == 91.5
    assert evidence["all_workflow_s"] == 250.4

    page = (tmp_path / "results.md").read_text(encoding="utf8")
    for line in (
        "| `text_only` | 0 | 79.00 | 81.00 | 80.00 | 3.00 | 1,234 | 1,200 | 1 | `abc1234` |",
        "| `bga_pairs` | mean of 2 | 80.75 ± 1.06 | 82.75 ± 1.06 | 81.75 ± 1.06 |  |  |  |  |  |",
        "- F1 of `bga_pairs` minus F1 of `text_only`: +1.75 points.",
        "- F1 of `bga_pairs` goes from 81.00 to 82.50 over 2 seeds.",
        "- One seed only, so the spread over seeds is not known: `text_only`.",
        "| `bga_pairs` | zero | 78.75 | 78.75 | 78.75 | -3.00 |",
        "| `bga_pairs` | recon | 4.0000 | 1.5000 | -62.5 % |",
        "| `bga_pairs` | 81.75 / 81.75 / 81.75 |",
        "| 5 | 80.00 | 81.75 |",
        "python -m spacy_bga runs plan.yml --only bga_pairs --force",
        "| The component's model folder | 91.50 |",
        "`python -m spacy project run all --force`: 250 s by the clock, at commit `abc1234`.",
        "| BGA-MNER (arXiv 2308.02570) | BERT-base, CLIP ViT-B/32 | 87.71 | 87.71 | 87.71 | no |",
    ):
        assert line in page.splitlines(), line
    assert page.count("--only bga_pairs --force") == 1


def test_a_mean_of_some_seeds_is_no_mean(tmp_path: Path):
    write_records(tmp_path, [aligned(0, 81.0, end=1.0), make_record("bga_pairs", 1, 82.0)])
    assert main_evidence(read_results(tmp_path))["recon"] == {"start": None, "end": None}


def test_other_plans_are_shown_after_the_main_one(tmp_path: Path):
    other = make_record("no_cycle", 0, 70.0, plan="ablations", files={"test": "another"})
    write_records(tmp_path, [other, make_record("text_only", 0, 80.0), {**other, "run": "no_bias", "files": {}}])
    write_results(tmp_path, tmp_path / "results.md", tmp_path / "main.json")
    page = (tmp_path / "results.md").read_text(encoding="utf8")
    assert page.index("## twitter2017") < page.index("## ablations")
    assert "- These runs were **not** scored on the same test file." in page
    assert page.count("### Published numbers") == 1


def test_a_file_that_is_no_record_is_refused(tmp_path: Path):
    write_json(tmp_path / "twitter2017" / "x.json", {"plan": "twitter2017"})
    with pytest.raises(BGAError, match=r"B511.*x\.json.*`run`"):
        read_results(tmp_path)


def test_differences_have_signs():
    assert [signed(value) for value in (1, -0.5, 0.001, -0.001)] == ["+1.00", "-0.50", "0.00", "0.00"]
