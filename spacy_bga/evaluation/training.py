"""The command that trains one run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from spacy_bga.evaluation.plan import Run

LOG = "log.jsonl"
START = "initialize.components.bga_ner.aligner"


def training_command(run: Run, folder: Path, *, work: Path) -> list[str]:
    """The call of `spacy train` for a run.

    run (Run): The run; its config has the logger `spacy_bga.ConsoleLogger.v1`. folder (Path): Where the model and the
        training log go. work (Path): Where the models of other runs are.
    RETURNS (list[str]): The program and its arguments.
    """
    settings = {**run.overrides, **seed_settings(run), "training.logger.output_file": (folder / LOG).as_posix()}
    if run.base:
        settings[START] = best_model(run.base, work).as_posix()
    command = [sys.executable, "-m", "spacy", "train", run.config.as_posix(), "--output", folder.as_posix()]
    for name, value in settings.items():
        command += [f"--{name}", _argument(value)]
    return command


def best_model(run: Run, work: Path) -> Path:
    """RETURNS (Path): Where a run's trained pipeline is kept."""
    return work / run.key / "model-best"


def seed_settings(run: Run) -> dict[str, int]:
    """RETURNS (dict[str, int]): Every seed that the run's config has."""
    from spacy.util import load_config

    config = load_config(run.config, interpolate=False)
    names = ["training.seed", "system.seed"]
    if "seed" in config.get("corpora", {}).get("train", {}):
        names.append("corpora.train.seed")
    if "seed" in config.get("training", {}).get("batcher", {}):
        names.append("training.batcher.seed")
    return dict.fromkeys(names, run.seed)


def _argument(value: Any) -> str:
    """spaCy reads an argument as JSON if it can: a string that looks like JSON has to be quoted."""
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        json.loads(value)
    except ValueError:
        return value
    return json.dumps(value)
