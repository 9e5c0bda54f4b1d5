"""What a training has left in its folder: can it be used, is it what it should be?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MODELS = ("model-best", "model-last")
FOLDERS = (*MODELS, "checkpoint")
TEXT = "Kevin Durant joins the Warriors in Oakland"


def moment_of(output: Path) -> str:
    """RETURNS (str): What a training was at when it was killed, by what it left."""
    for name in FOLDERS:
        if (output / f".{name}.new").exists() or (output / f".{name}.old").exists():
            return f"replacing {name}"
    return "between evaluations" if (output / "checkpoint").exists() else "before the first evaluation"


def inspect(output: Path, present: set[str]) -> list[str]:
    """Load every pipeline that is there, and tag with it.

    output (Path): The folder of the training. present (set[str]): The pipelines that were there before.
    RETURNS (list[str]): What is wrong.
    """
    import spacy

    faults = []
    for name in MODELS:
        if (output / name).exists():
            try:
                spacy.load(output / name)(TEXT)
            except Exception as error:
                faults.append(f"{name} can't be used: {type(error).__name__}: {error}")
        elif name in present:
            faults.append(f"{name} is gone")
    return faults


def differences(first: Path, second: Path) -> list[str]:
    """RETURNS (list[str]): The files of two trainings' pipelines that aren't the same, measured speeds left aside."""
    found = []
    for name in MODELS:
        contents = [_contents(output / name) for output in (first, second)]
        files = sorted(contents[0].keys() | contents[1].keys())
        found += [f"{name}/{file}" for file in files if contents[0].get(file) != contents[1].get(file)]
    return found


def _contents(folder: Path) -> dict[str, Any]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    contents: dict[str, Any] = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    if "meta.json" in contents:
        contents["meta.json"] = json.loads(contents["meta.json"])
        contents["meta.json"]["performance"].pop("speed", None)
    return contents


def best_score(output: Path) -> float:
    """RETURNS (float): The best score on dev of a training."""
    state = json.loads((output / "checkpoint" / "state.json").read_text(encoding="utf8"))
    return max(row["score"] for row in state["history"])
