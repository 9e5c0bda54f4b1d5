"""The page of what is taken up of pictures, made of docs/evidence/uptake.json and the runs in docs/runs/uptake."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from spacy_bga.evaluation.markdown import number, table
from spacy_bga.evaluation.records import read_json

ARMS = {"text_only": "text alone", "bga": "BGA", "bga_shuffled": "BGA, pictures shuffled", "probe": "probe"}
TITLES = {
    "coined_one": "coined names, one a post",
    "coined_many": "coined names, two or three a post",
    "twitter2017_300": "Twitter-2017, 300 labels",
    "twitter2017_all": "Twitter-2017, all labels",
}
HEAD = """# What is taken up of pictures

Made by `python -m lab.uptake --evidence`, of one file a run in docs/runs/uptake. F1 in percent, mean and standard
deviation over seeds; tagging sees no picture.

**Coined names** are random pronounceable names of one thing each, whose form says nothing and whose kind no text
tells: unlabelled pairs show their kinds, labelled posts name others. F1 is of names that pairs alone show. The probe
is the accuracy of a linear probe on what these names generate. **Twitter-2017** has real posts, whose names the text
encoder knows; the aligner has learnt from news, tweets and captions.

A run's file names its commit. All are of before 7c0ba6c, since which the tagger reads, while it learns, only those
pictured names that are hidden from the text encoder.
"""
ABLATION = """
## One setting changed

Seed 0. Coined names: F1 of names that pairs alone show, two or three a post; Twitter-2017: F1 with 300 labels.
"""


def render(evidence: Mapping[str, Any], records: Path) -> str:
    """RETURNS (str): The page. evidence (dict): That of `lab.uptake`. records (Path): The folder of its runs."""
    rows = [
        [title, len(evidence[name]["bga"]), *(_cell(evidence[name].get(arm, ())) for arm in ARMS)]
        for name, title in TITLES.items()
        if name in evidence
    ]
    parts = [HEAD, table(["", "seeds", *ARMS.values()], rows)]
    if variants := _variants(records):
        parts += [ABLATION, table(["settings", "coined names", "Twitter-2017"], variants)]
    return "\n".join(parts)


def _cell(scores: Sequence[float]) -> str | None:
    if not scores:
        return None
    return number(fmean(scores), 1) + (f" ± {number(stdev(scores), 1)}" if len(scores) > 1 else "")


def _variants(records: Path) -> list[list[str | None]]:
    """RETURNS (list): A row for the default and for each variant: its settings, and what is recorded of seed 0."""
    names = {re.sub(r"^[^-]+|-seed0$", "", path.stem): None for path in sorted(records.glob("*-seed0.json"))}
    rows: list[list[str | None]] = []
    for name in names:
        found = [
            read_json(records / f"{benchmark}{name}-seed0.json") for benchmark in ("coined_many", "twitter2017_300")
        ]
        overrides = next((run["overrides"] for run in found if run), ())
        rows.append([_settings(overrides), *(number(run["bga"]["f1"], 1) if run else None for run in found)])
    return rows if len(rows) > 1 else []


def _settings(overrides: Sequence[str]) -> str:
    pairs = zip(overrides[::2], overrides[1::2], strict=True)
    return ", ".join(f"`{name.rpartition('.')[2]} = {value}`" for name, value in pairs) or "the default"
