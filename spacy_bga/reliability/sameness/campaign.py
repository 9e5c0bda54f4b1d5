"""The campaign: every source of a pipeline, run in every way, in fresh processes; and trainings with one seed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from spacy_bga.reliability.fresh import call_fresh
from spacy_bga.reliability.sameness.margins import measure_margins
from spacy_bga.reliability.sameness.sources import FULL, SOURCES, has_visual_branch
from spacy_bga.reliability.sameness.trainings import FEW_TRAININGS, TRAININGS, try_trainings
from spacy_bga.reliability.sameness.ways import WAYS
from spacy_bga.reliability.subject import Answer, Subject, tag, with_odd_ones

HASH_SEEDS = ("0", "1", "123456789")
FEW_SOURCES = ("loaded", "pickled")
FEW_WAYS = ("`nlp`, one by one", "`pipe`, batches of 64", "`pipe`, batches of 7, 2 processes")
Cells = dict[str, dict[str, list[dict[str, Any]]]]
"""By source and way, the texts that have other entities than the reference."""


def run_sameness(
    subject: Subject, *, steps: int = 40, quick: bool = False, progress: Callable[[str], None] = print
) -> dict[str, Any]:
    """Compare the entities of every cell of the matrix with those of `nlp`, one by one, of the loaded pipeline.

    subject (Subject): The pipeline, and the texts. steps (int): Updates of each training.
    quick (bool): Whether a few cells are enough. progress (Callable): Told what happens.
    RETURNS (dict[str, Any]): "figures" and "details", see `evidence.record`.
    """
    texts = with_odd_ones(subject.texts)
    seen = call_fresh(look, subject.pipeline, texts, environment={"PYTHONHASHSEED": HASH_SEEDS[0]})
    expected, full, scores = (seen[name] for name in ("expected", "full", "scores"))
    margins = scores.pop("margins")
    sources, all_ways = (FEW_SOURCES, FEW_WAYS) if quick else (SOURCES, WAYS)
    runs = [(name, name, list(all_ways), HASH_SEEDS[0]) for name in sources if full or name != FULL]
    runs += [(f"loaded, PYTHONHASHSEED={seed}", "loaded", list(FEW_WAYS), seed) for seed in HASH_SEEDS[1:]]
    cells: Cells = {}
    for title, source, ways, seed in runs:
        with tempfile.TemporaryDirectory() as work:
            arguments = (source, ways, subject.pipeline, texts, Path(work))
            answers = call_fresh(try_source, *arguments, environment={"PYTHONHASHSEED": seed})
        cells[title] = {way: compare(expected, answer, margins) for way, answer in answers.items()}
        progress(f"{title}: {sum(map(bool, cells[title].values()))} of {len(ways)} cells differ")
    with tempfile.TemporaryDirectory() as work:
        trainings = try_trainings(
            Path(work), steps=steps, names=FEW_TRAININGS if quick else TRAININGS, progress=progress
        )
    return {
        "figures": {
            "matrix_cells": sum(map(len, cells.values())) + len(trainings["cells"]),
            "matrix_mismatches": sum(
                bool(found) for ways in [*cells.values(), trainings["cells"]] for found in ways.values()
            ),
            "matrix_texts": len(texts),
            "matrix_entities": sum(map(len, expected)),
        },
        "details": {
            "cells": cells,
            "left_out": [] if full else [FULL],
            "trainings": trainings,
            "steps": steps,
            "scores": scores,
        },
    }


def look(pipeline: Path, texts: list[str]) -> dict[str, Any]:
    """Look at the loaded pipeline. To be called in a fresh process.

    pipeline (Path): Its folder. texts (list[str]): The texts.
    RETURNS (dict[str, Any]): "expected", the entities that it finds, one by one; "full", whether it has a visual
        branch; "scores", what `measure_margins` tells.
    """
    import spacy

    nlp = spacy.load(pipeline)
    return {"expected": tag(nlp, texts), "full": has_visual_branch(nlp), "scores": measure_margins(nlp, texts)}


def try_source(source: str, ways: list[str], pipeline: Path, texts: list[str], work: Path) -> dict[str, Answer]:
    """Run a pipeline in some ways. To be called in a fresh process.

    source (str): One of `SOURCES`. ways (list[str]): Some of `WAYS`. pipeline (Path): Its folder.
    texts (list[str]): The texts. work (Path): An empty folder.
    RETURNS (dict[str, Answer]): The entities of the texts, by way.
    """
    import torch

    torch.set_num_threads(1)
    nlp = SOURCES[source](pipeline, work)
    return {way: WAYS[way](nlp, texts) for way in ways}


def compare(expected: Answer, found: Answer, margins: Sequence[float | None]) -> list[dict[str, Any]]:
    """RETURNS (list[dict[str, Any]]): Of each text that has other entities: its "text" by number, the entities that are
    "missing" and "added", and its "margin"."""
    return [
        {
            "text": number,
            "missing": [entity for entity in one if entity not in other],
            "added": [entity for entity in other if entity not in one],
            "margin": margins[number],
        }
        for number, (one, other) in enumerate(zip(expected, found, strict=True))
        if one != other
    ]
