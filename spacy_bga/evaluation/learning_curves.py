"""Learning curves of training runs: the score on dev and each term of the loss, step by step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from spacy_bga.evaluation.figures import panel_figure
from spacy_bga.evaluation.training_log import Row, best_score, best_step

SCORE = "score on dev, %"


def draw_learning_curves(logs: Mapping[str, Sequence[Row]], *, title: str = "Learning curves") -> str:
    """Draw the score, and each term of the loss that is ever other than 0; where it isn't finite, a line has a gap.

    logs (Mapping[str, Sequence[dict]]): The rows of each run's log, by the run's name.
    title (str): The figure's title.
    RETURNS (str): The SVG.
    RAISES (BGAError): If there is no matplotlib, or there are no rows.
    """
    panels = {SCORE: {name: [(row["step"], 100 * row["score"]) for row in rows] for name, rows in logs.items()}}
    keys = dict.fromkeys(key for rows in logs.values() for row in rows for key in row["losses"])
    for key in keys:
        lines = {
            name: [(row["step"], float(row["losses"][key])) for row in rows if key in row["losses"]]
            for name, rows in logs.items()
        }
        lines = {name: points for name, points in lines.items() if any(loss != 0 for _, loss in points)}
        if lines:
            panels[f"loss {key}"] = lines
    return panel_figure(panels, title=title, x_unit="step")


def describe_run(name: str, rows: Sequence[Row]) -> str:
    """RETURNS (str): A line on a run: how far it came, its best score, and whether a loss stopped being a number."""
    rows = list(rows)
    told = f"{name}: {rows[-1]['step']} steps, best score on dev {best_score(rows):.2f} % at step {best_step(rows)}"
    broken = [row["step"] for row in rows if not all(map(math.isfinite, row["losses"].values()))]
    return f"{told}; a loss is not finite from step {broken[0]}" if broken else told


def run_names(paths: Sequence[Path]) -> list[str]:
    """RETURNS (list[str]): As much of the end of each path, without its suffix, as tells them apart."""
    parts = [path.with_suffix("").parts for path in paths]
    for length in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{path} ({number})" for number, path in enumerate(paths, start=1)]
