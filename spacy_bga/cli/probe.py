"""`python -m spacy_bga probe`: has nothing been learnt from images, or is nothing taken up?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("probe")
def probe_command(
    model: Annotated[Path, typer.Argument(help="The folder of a pipeline that has learnt from images.")],
    train: Annotated[Path, typer.Argument(help="The labelled texts that it was trained on, such as a .spacy file.")],
    test: Annotated[Path, typer.Argument(help="Labelled texts that it has not seen.")],
    output: Annotated[Path | None, typer.Option(help="Write the measures to this file as JSON, too.")] = None,
) -> None:
    """Tell whether nothing was learnt from images, or nothing of it is taken up by the tagger.

    A linear probe learns to read the labels of TRAIN's entities from the visual features that they generate, and is
    asked for those of TEST: by label, and for entities seen in TRAIN and unseen. Beside it: the same with generators
    that nobody has trained; with the text's own features; the most frequent label; and what the pipeline finds.

    Example: python -m spacy_bga probe training/bga/model-best corpus/train.spacy corpus/test.spacy
    """
    from spacy_bga.evaluation.alignment import load_pipeline
    from spacy_bga.evaluation.probe import measure_probe, table
    from spacy_bga.evaluation.records import write_json

    with exit_on_error():
        measured = measure_probe(load_pipeline(model), train, test)
    typer.echo(table(measured))
    if output is not None:
        write_json(output, measured)
        typer.echo(f"Written to {output}")
