"""The README's table of what pictures add is the one that the main job printed."""

from __future__ import annotations

import json
from pathlib import Path

from spacy_bga.evaluation.uptake import uptake_table

ROOT = Path(__file__).parents[2]


def test_the_readme_shows_what_the_main_job_printed():
    measured = json.loads((ROOT / "docs" / "evidence" / "uptake.json").read_text(encoding="utf8"))["main_job"]
    assert uptake_table(measured).rstrip() in (ROOT / "README.md").read_text(encoding="utf8")
