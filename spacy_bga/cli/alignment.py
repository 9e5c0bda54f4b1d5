"""`python -m spacy_bga alignment`: measure what a pipeline has learnt to generate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("alignment")
def alignment_command(
    model: Annotated[Path, typer.Argument(help="The folder of a pipeline saved with its visual branch.")],
    pairs: Annotated[Path, typer.Argument(help="Pairs that it was not trained on, a .spacy file.")],
    images: Annotated[
        Path | None, typer.Option(help="The image root; or given features, if they are not the pipeline's own file.")
    ] = None,
    labelled: Annotated[
        Path | None, typer.Option(help="Texts with entities, a .spacy file, to see what replacing one changes.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write the measures to this file as JSON, too.")] = None,
) -> None:
    """Measure what a pipeline has learnt to generate: does it find the image of a text, and does it resemble it?

    Example: python -m spacy_bga alignment training/align/model-best corpus/pairs/test/news.spacy --images data/pairs
    """
    from spacy_bga.evaluation.alignment import load_pipeline, measure_alignment, table
    from spacy_bga.evaluation.records import write_json

    with exit_on_error():
        measured = measure_alignment(load_pipeline(model), pairs, images, labelled=labelled)
    typer.echo(table(measured))
    if output is not None:
        write_json(output, measured)
        typer.echo(f"Written to {output}")
