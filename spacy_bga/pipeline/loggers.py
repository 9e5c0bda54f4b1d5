"""The terms of the loss in the training log: `spacy_bga.ConsoleLogger.v1`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Optional

import tqdm
from spacy.language import Language
from wasabi import Printer

Info = dict[str, Any]


def console_logger(
    progress_bar: bool = False,
    console_output: bool = True,
    output_file: Optional[str] = None,  # noqa: UP045 (read by confection, which wants a type and not a string)
) -> Callable:
    """Log what spaCy's console logger does, with the terms of each loss, as means over the updates since the last row.

    progress_bar (bool): Whether to show the steps up to the next evaluation.
    console_output (bool): Whether to print a row per evaluation.
    output_file (Optional[str]): Where to write the rows as JSONL; its folder is made.
    RETURNS (Callable): A logger for `[training.logger]`.
    """

    def setup(nlp: Language, stdout: IO = sys.stdout, stderr: IO = sys.stderr) -> tuple[Callable, Callable]:
        table = LogTable(nlp, stdout) if console_output else None
        records = _open(output_file)
        keys = loss_keys(nlp)
        every = nlp.config["training"]["eval_frequency"]
        bar = tqdm.tqdm(total=every, disable=None if progress_bar else True, leave=False, file=stderr)
        steps = 0

        def log_step(info: Info | None) -> None:
            nonlocal steps
            steps += 1
            bar.update(1)
            if info is None:
                return
            row = summarize(info, keys, steps)
            steps = 0
            bar.reset()
            if table is not None:
                table.write(row)
            if records is not None:
                records.write(json.dumps(row) + "\n")
                records.flush()

        def finalize() -> None:
            bar.close()
            if records is not None:
                records.close()

        return log_step, finalize

    return setup


def loss_keys(nlp: Language) -> list[str]:
    """RETURNS (list[str]): The keys of the losses that the trainable components record, terms after their sum."""
    keys = []
    for name, component in nlp.pipeline:
        if getattr(component, "is_trainable", False):
            keys += [name, *getattr(component, "loss_terms", ())]
    return keys


def summarize(info: Info, keys: list[str], steps: int) -> Info:
    """One row of the log.

    info (dict): What spaCy's training loop hands a logger. keys (list[str]): The losses to show.
    steps (int): The updates that the losses are summed over.
    RETURNS (dict): "epoch", "step", mean "losses", "scores" in percent, "score", "seconds" and "words".
    """
    losses = {key: float(info["losses"].get(key, 0.0)) / max(steps, 1) for key in keys}
    scores = {
        key: 100 * float(value) if key != "speed" else float(value)
        for key, value in info["other_scores"].items()
        if isinstance(value, int | float)
    }
    row = {"epoch": info["epoch"], "step": info["step"], "losses": losses, "scores": scores}
    return row | {"score": float(info["score"]), "seconds": info["seconds"], "words": info["words"]}


class LogTable:
    """The rows of the log on the console. nlp (Language): The pipeline. stdout (IO): Where they go."""

    def __init__(self, nlp: Language, stdout: IO):
        self._printer = Printer(no_print=True)
        self._stdout = stdout
        weights = nlp.config["training"]["score_weights"]
        self._scores = [key for key, weight in weights.items() if weight is not None]
        self._losses = loss_keys(nlp)
        titles = [_title(key) for key in self._losses] + [key.upper() for key in self._scores]
        self._widths = [3, 6, *(max(len(title), 8) for title in titles), 6]
        self._print(["E", "#", *titles, "SCORE"])
        self._print(["-" * width for width in self._widths])

    def write(self, row: Info) -> None:
        losses = [f"{row['losses'][key]:.3f}" for key in self._losses]
        scores = [f"{row['scores'].get(key, 0.0):.2f}" for key in self._scores]
        self._print([row["epoch"], row["step"], *losses, *scores, f"{row['score']:.2f}"])

    def _print(self, cells: list[Any]) -> None:
        line = self._printer.row(cells, widths=self._widths, aligns=["r"] * len(cells), spacing=2)
        print(line, file=self._stdout, flush=True)


def _title(key: str, longest: int = 14) -> str:
    """The end of a long key says more than its start: "...a_ner_recon"."""
    title = key.upper() if key.rpartition("_")[2] in ("crf", "recon", "cycle", "ratio") else f"LOSS {key.upper()}"
    return title if len(title) <= longest else "..." + title[3 - longest :]


def _open(path: str | None) -> IO | None:
    if path is None:
        return None
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return open(path, "w", encoding="utf8")
