"""Train a pipeline as `spacy train` does, so that it can be killed at any moment and resumed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from spacy.cli._util import setup_gpu, show_validation_error
from spacy.training.initialize import init_nlp
from spacy.util import load_config
from wasabi import msg

from spacy_bga.errors import BGAError, Errors
from spacy_bga.pipeline.pretraining import skipped
from spacy_bga.training.checkpoint import Checkpoint
from spacy_bga.training.folders import discard_folder
from spacy_bga.training.loop import Training
from spacy_bga.training.output_folder import OutputFolder


def train(
    config_path: Path,
    output_path: Path,
    *,
    resume: bool = False,
    use_gpu: int = -1,
    overrides: Mapping[str, Any] | None = None,
) -> Path:
    """Train a pipeline by a config of spaCy's.

    config_path (Path): The config; "-" reads it from the standard input. output_path (Path): Gets `model-best`,
        `model-last` and `checkpoint`.
    resume (bool): Whether to go on from the checkpoint, if there is one; else it is discarded.
    use_gpu (int): The GPU's number, or -1 for the CPU. overrides (Mapping[str, Any]): Settings in dot notation.
    RETURNS (Path): The folder of the last pipeline.
    RAISES (BGAError): The checkpoint is of another training, or something can't be written.
    """
    if str(config_path) != "-" and not config_path.is_file():
        raise BGAError(Errors.B672.format(path=config_path))
    output = OutputFolder(output_path)
    with output.opened():
        msg.info(f"Saving to output directory: {output_path}")
        setup_gpu(use_gpu)
        with show_validation_error(config_path):
            config = load_config(config_path, overrides=dict(overrides or {}), interpolate=False)
        checkpoint = Checkpoint.read(output.checkpoint) if resume else None
        if resume and checkpoint is None:
            msg.info("There is no checkpoint to resume yet, so the training begins")
        msg.divider("Initializing pipeline")
        with show_validation_error(config_path, hint_fill=False), nullcontext() if checkpoint is None else skipped():
            nlp = init_nlp(config, use_gpu=use_gpu)
        msg.good("Initialized pipeline")
        if checkpoint is None:
            discard_folder(output.checkpoint)
        else:
            checkpoint.check(nlp, output.checkpoint)
        msg.divider("Training pipeline")
        training = Training(nlp, output, checkpoint)
        del checkpoint  # to be released as soon as it is restored
        last = training.run(sys.stdout, sys.stderr)
    msg.good("Saved pipeline to output directory", last)
    return last
