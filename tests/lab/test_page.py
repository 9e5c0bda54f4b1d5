"""The page of the benchmark, and that it is made of what is recorded."""

from __future__ import annotations

import json
from pathlib import Path

from lab.page import render

ROOT = Path(__file__).parents[2]


def test_scores_and_settings(tmp_path: Path):
    for name, overrides, f1 in (("coined_many", [], 70.0), ("coined_many-r10", ["--components.x.reader", "10"], 40.04)):
        run = {"overrides": overrides, "bga": {"f1": f1}}
        (tmp_path / f"{name}-seed0.json").write_text(json.dumps(run), encoding="utf8")
    page = render({"coined_many": {"text_only": [20.0, 22.0], "bga": [70.0, 74.0], "probe": []}}, tmp_path)
    assert "| coined names, two or three a post | 2 | 21.0 ± 1.4 | 72.0 ± 2.8 | – | – |" in page
    assert "| the default | 70.0 | – |" in page
    assert "| `reader = 10` | 40.0 | – |" in page


def test_the_committed_page_is_of_the_committed_evidence():
    evidence = json.loads((ROOT / "docs" / "evidence" / "uptake.json").read_text(encoding="utf8"))
    assert (ROOT / "docs" / "uptake.md").read_text(encoding="utf8") == render(
        evidence, ROOT / "docs" / "runs" / "uptake"
    )
