"""The training log for TensorBoard, for which spacy-loggers has none: `spacy_bga.TensorBoardLogger.v1`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import IO

from spacy.language import Language

from spacy_bga.errors import BGAError, Errors
from spacy_bga.pipeline.progress import Info, Progress


def tensorboard_logger(log_dir: str) -> Callable:
    """Write mean losses, scores and speed of each evaluation as scalars. Needs the extra `tensorboard`.

    log_dir (str): The folder for the events, one for each run: TensorBoard shows folders below one as runs to compare.
    RETURNS (Callable): A logger for `[training.logger]`, or for one of the places of `spacy.ChainLogger.v1`.
    RAISES (BGAError): If the package is missing.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise BGAError(Errors.B631) from error

    def setup(nlp: Language, stdout: IO = sys.stdout, stderr: IO = sys.stderr) -> tuple[Callable, Callable]:
        progress = Progress(nlp)
        writer = SummaryWriter(log_dir)

        def log_step(info: Info | None) -> None:
            if info is None:
                progress.update()
                return
            for name, value in scalars(progress.evaluation(info)).items():
                writer.add_scalar(name, value, info["step"])
            writer.flush()

        return log_step, writer.close

    return setup


def scalars(row: Info) -> dict[str, float]:
    """RETURNS (dict[str, float]): A row of the log by TensorBoard's names, where the part before a slash is a group."""
    named = {"score": row["score"], "speed/examples_per_second": row["examples_per_second"]}
    named |= {f"loss/{key}": value for key, value in row["losses"].items()}
    named |= {f"scores/{key}": value for key, value in row["scores"].items()}
    return {name: value for name, value in named.items() if value is not None}
