"""The training log on the console and as JSONL, the terms of the loss in it: `spacy_bga.ConsoleLogger.v1`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Literal, Optional, Union

import tqdm
from spacy.language import Language
from wasabi import Printer

from spacy_bga.pipeline.progress import Info, Progress, loss_keys, passed_on


def console_logger(
    progress_bar: Union[bool, Literal["train", "eval"]] = False,  # noqa: UP007 (as below)
    console_output: bool = True,
    output_file: Optional[str] = None,  # noqa: UP045 (read by confection, which wants a type and not a string)
) -> Callable:
    """Log what spaCy's console logger does, with the terms of each loss, as means over the updates since the last row,
    examples per second and the time left. Loggers after it in a `spacy.ChainLogger.v1` get these too: see `passed_on`.

    progress_bar (Union[bool, str]): A bar on a terminal, with the speed and the time left: "train" shows the steps up
        to `max_steps`, "eval" or true those up to the next evaluation.
    console_output (bool): Whether to print a row per evaluation.
    output_file (Optional[str]): Where to write the rows as JSONL; its folder is made.
    RETURNS (Callable): A logger for `[training.logger]`.
    """

    def setup(nlp: Language, stdout: IO = sys.stdout, stderr: IO = sys.stderr) -> tuple[Callable, Callable]:
        progress = Progress(nlp)
        table = LogTable(nlp, stdout) if console_output else None
        bar = ProgressBar(progress, stderr, until=progress_bar)
        records = _open(output_file)

        def log_step(info: Info | None) -> None:
            if info is None:
                progress.update()
            else:
                row = progress.evaluation(info)
                info |= passed_on(row)
                bar.clear()
                if table is not None:
                    table.write(row)
                if records is not None:
                    records.write(json.dumps(row) + "\n")
                    records.flush()
            bar.show()

        def finalize() -> None:
            bar.close()
            if records is not None:
                records.close()

        return log_step, finalize

    return setup


class LogTable:
    """The rows of the log on the console. nlp (Language): The pipeline. stdout (IO): Where they go."""

    def __init__(self, nlp: Language, stdout: IO):
        self._printer = Printer(no_print=True)
        self._stdout = stdout
        weights = nlp.config["training"]["score_weights"]
        self._scores = [key for key, weight in weights.items() if weight is not None]
        self._losses = loss_keys(nlp)
        titles = [_title(key) for key in self._losses] + [key.upper() for key in self._scores]
        self._widths = [3, 6, *(max(len(title), 8) for title in titles), 6, 6, 8]
        self._print(["E", "#", *titles, "SCORE", "EX/S", "LEFT"])
        self._print(["-" * width for width in self._widths])

    def write(self, row: Info) -> None:
        losses = [f"{row['losses'][key]:.3f}" for key in self._losses]
        scores = [f"{row['scores'].get(key, 0.0):.2f}" for key in self._scores]
        pace = [_speed(row["examples_per_second"]), _time(row["seconds_left"])]
        self._print([row["epoch"], row["step"], *losses, *scores, f"{row['score']:.2f}", *pace])

    def _print(self, cells: list[Any]) -> None:
        line = self._printer.row(cells, widths=self._widths, aligns=["r"] * len(cells), spacing=2)
        print(line, file=self._stdout, flush=True)


class ProgressBar:
    """The steps, the speed and the time left, on a terminal.

    progress (Progress): What to show. stderr (IO): Where to; nothing is shown if that is no terminal.
    until (Union[bool, str]): "train", "eval" or true, or false for no bar.
    """

    def __init__(self, progress: Progress, stderr: IO, *, until: bool | str):
        self._progress = progress
        self._whole = until == "train"
        total = (progress.max_steps or None) if self._whole else progress.eval_frequency
        self._bar = tqdm.tqdm(
            total=total,
            disable=None if until else True,
            leave=False,
            file=stderr,
            bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt}{postfix}" if total else "{n_fmt} steps{postfix}",
        )

    def clear(self) -> None:
        """Make place for a line of the log."""
        self._bar.clear()

    def show(self) -> None:
        """Show what there is after an update."""
        progress, bar = self._progress, self._bar
        if bar.disable:
            return
        bar.n = progress.step if self._whole else progress.step % progress.eval_frequency
        bar.set_postfix_str(f"{_speed(progress.examples_per_second)} examples/s, {_time(progress.seconds_left)} left")

    def close(self) -> None:
        self._bar.close()


def _speed(examples_per_second: float | None) -> str:
    return "-" if examples_per_second is None else f"{examples_per_second:.1f}"


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else tqdm.tqdm.format_interval(seconds)


def _title(key: str, longest: int = 14) -> str:
    """The end of a long key says more than its start: "...a_ner_recon"."""
    title = key.upper() if key.rpartition("_")[2] in ("crf", "recon", "cycle", "ratio") else f"LOSS {key.upper()}"
    return title if len(title) <= longest else "..." + title[3 - longest :]


def _open(path: str | None) -> IO | None:
    if path is None:
        return None
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return open(path, "w", encoding="utf8")
