"""The page of real posts, and that it is made of what is recorded."""

from __future__ import annotations

import json
from pathlib import Path

from lab.real_page import render

ROOT = Path(__file__).parents[2]


def test_means_and_intervals():
    runs = {"text_only": (60.0, 62.0, 64.0), "bga": (70.0, 74.0, 75.0)}
    found = {
        arm: [{"seed": seed, "f1_new": f1, "f1_all": 50.0} for seed, f1 in enumerate(scores)]
        for arm, scores in runs.items()
    }
    page = render({"new_names_300": found | {"bga_shuffled": [{"seed": 2, "f1_new": 61.0, "f1_all": 49.5}]}})
    assert "| coined names, 300 labels | text alone | 3 | 62.0 | 50.0 |" in page
    # By hand: differences 10, 12, 11; 4.303 standard errors of 1 / sqrt(3).
    assert "| coined names, 300 labels | BGA | 3 | 73.0 (+11.0 [+8.5, +13.5]) | 50.0 (+0.0 [+0.0, +0.0]) |" in page
    assert "| coined names, 300 labels | BGA, shuffled | 1 | 61.0 (-3.0) | 49.5 (-0.5) |" in page


def test_the_committed_page_is_of_the_committed_evidence():
    evidence = json.loads((ROOT / "docs" / "evidence" / "real.json").read_text(encoding="utf8"))
    assert (ROOT / "docs" / "real.md").read_text(encoding="utf8") == render(evidence)
