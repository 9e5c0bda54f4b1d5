"""What a training log says: the best step, the curve on dev, and where the terms of the loss began and ended."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from spacy_bga.errors import BGAError, Errors, Warnings

Row = dict[str, Any]


def read_log(path: Path) -> list[Row]:
    """Read the rows that `spacy_bga.ConsoleLogger.v1`, or a console logger of spaCy's, wrote with `output_file`.

    path (Path): The log. A line that is no row is left out with a warning: training may have been cut off in it.
    RETURNS (list[dict]): The rows.
    RAISES (BGAError): There is no file, or no row in it.
    """
    if not path.is_file():
        raise BGAError(Errors.B630.format(path=path, reason="it is no file"))
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf8", errors="replace").splitlines(), start=1):
        try:
            row = json.loads(line)
            rows.append(row | {"step": int(row["step"]), "score": float(row["score"]), "losses": dict(row["losses"])})
        except (ValueError, TypeError, KeyError) as error:
            if line.strip():
                warnings.warn(Warnings.W630.format(path=path, line=number, error=repr(error)), stacklevel=2)
    if not rows:
        raise BGAError(Errors.B630.format(path=path, reason="it has no row with a step, losses and a score"))
    return rows


def best_step(rows: list[Row]) -> int:
    """The step whose weights `model-best` holds: of equal scores spaCy keeps the last.

    rows (list[dict]): The log.
    RETURNS (int): The step, from 0; by then there have been one more updates than that.
    """
    return max(rows, key=lambda row: (row["score"], row["step"]))["step"]


def best_score(rows: list[Row]) -> float:
    """RETURNS (float): The score on dev of the best step, in percent: what the config's `score_weights` make of it."""
    return round(100 * max(row["score"] for row in rows), 2)


def dev_curve(rows: list[Row]) -> list[dict[str, Any]]:
    """RETURNS (list[dict]): "step", "epoch" (passes completed) and "f1" in percent of each row."""
    return [
        {"step": row["step"], "epoch": row["epoch"], "f1": _rounded(row["scores"].get("ents_f"), 2)} for row in rows
    ]


def alignment_curve(rows: list[Row]) -> list[dict[str, Any]] | None:
    """RETURNS (list[dict] | None): "step" and "r10" in percent of each row; None if the alignment wasn't scored."""
    if all(row["scores"].get("align_r10") is None for row in rows):
        return None
    return [{"step": row["step"], "r10": _rounded(row["scores"].get("align_r10"), 2)} for row in rows]


def term_ends(rows: list[Row], term: str) -> dict[str, float] | None:
    """Where a term of the loss began and ended: its means over the updates of the first and of the last row.

    rows (list[dict]): The log. term (str): "recon", "cycle" or "contrast".
    RETURNS (dict[str, float] | None): "start" and "end"; None if no update had the term, as with text only.
    """
    values = [sum(value for key, value in row["losses"].items() if key.endswith(f"_{term}")) for row in rows]
    # Rows without it had no image in any of their updates, and say nothing about the term.
    values = [value for value in values if value]
    return {"start": round(values[0], 4), "end": round(values[-1], 4)} if values else None


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
