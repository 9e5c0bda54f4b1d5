"""The page's section about the campaign of kills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spacy_bga.evaluation.markdown import table

KILLS = """## A training can be killed at any moment

`python -m spacy_bga train` trains as `spacy train` does: with the same config and seed, it writes the same files.

- **Nothing is ever half there.** A pipeline, or a checkpoint, is written into a folder beside its place
  (`.model-best.new`), flushed to the disk, and then the two exchange their names in one step (`renameat2` with
  `RENAME_EXCHANGE`, on Linux). So `model-best` and `model-last` can be loaded at any moment, from their first
  evaluation on. Where the system can't exchange names, the old folder is first renamed to `.model-best.old`: a kill
  between two renames then leaves no `model-best`, and the next start puts the old one back.
- **It goes on where it was.** Each evaluation ends with a checkpoint: all weights, the moments of torch's and
  thinc's optimizers, the averages, the random number generators, the evaluations so far, and what decided the order
  of the data. With `--resume` the data are read again up to there, spaCy's schedules are stepped on, and the log is
  written again from the remembered evaluations. With the same data and settings on the same machine and one thread,
  the resumed training ends with the same bits. What can differ: on a GPU, or with several threads, sums are not
  always formed in the same order, as in two trainings that nothing disturbs; CuPy's generator, which drops out in
  thinc's layers on a GPU, starts anew; and callbacks and loggers of your own with a state of their own have to
  restore it themselves.
- **It refuses what it can't resume**: other settings (but paths, `max_steps`, `max_epochs`, `patience`, the
  learning rate and the logger, so that a training can be made longer), other data, a damaged checkpoint. Nothing in
  a checkpoint is executed: it is JSON and safetensors.
- **A full or read-only disk** ends the training with one error that says so, and leaves the pipelines and the
  checkpoint of before in place. If only the cache of visual features can't be written, the training goes on without
  it.
"""


def kills_section(record: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    """RETURNS (str): The section about the campaign of kills."""
    scores = details["best_score"]
    rows = [
        ("trainings killed with SIGKILL at a random moment", record["kills"]),
        *((f"... {moment}", number) for moment, number in details["moments"].items()),
        ("kills after which a pipeline was gone or could not be loaded", record["kills_without_loadable_state"]),
        ("trainings resumed to their end", record["resumed_trainings"]),
        ("... with the same files, bit by bit, as an undisturbed one", record["resumed_trainings_identical"]),
        ("best score on dev, undisturbed", f"{scores['undisturbed']:.4f}"),
        ("best score on dev, resumed", f"{scores['resumed_lowest']:.4f} to {scores['resumed_highest']:.4f}"),
    ]
    origin = details["origin"]
    return f"{KILLS}\n{table(['what', 'how many'], rows)}\n`{origin['command']}`, at {origin['commit']}.\n"
