"""`python -m spacy_bga train`: `spacy train` that can be killed at any moment, and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("train", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train_command(
    ctx: typer.Context,
    config: Annotated[Path, typer.Argument(help="The config; other options override its settings, as in spaCy.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Gets model-best, model-last and the checkpoint.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint, if there is one.")] = False,
    code: Annotated[Path | None, typer.Option("--code", "-c", help="A Python file with registered functions.")] = None,
    gpu_id: Annotated[int, typer.Option("--gpu-id", "-g", help="The GPU, or -1 for CPU.")] = -1,
    verbose: Annotated[bool, typer.Option("--verbose", "-V", help="Show more of what is done.")] = False,
) -> None:
    """Train a pipeline as `spacy train` does, with the same config and the same result.

    Each folder of the output is replaced as a whole, so that a training may be killed at any moment and what was saved
    before is never lost; and all that it needs to go on is kept with every evaluation.

    Example: python -m spacy_bga train configs/starter.cfg --output training --paths.train corpus/train.spacy --resume
    """
    import logging

    from spacy.cli._util import import_code, parse_config_overrides
    from spacy.util import logger

    from spacy_bga.training.train import train

    if verbose:
        logger.setLevel(logging.DEBUG)
    overrides = parse_config_overrides(list(ctx.args))
    import_code(code)
    with exit_on_error():
        train(config, output, resume=resume, use_gpu=gpu_id, overrides=overrides)
