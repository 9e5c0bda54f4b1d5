"""`python -m spacy_bga measure-package`: measure the size of a trained component."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("measure-package")
def measure_package_command(
    pipeline: Annotated[Path, typer.Argument(help="The folder of a trained pipeline.")],
    encoder: Annotated[str, typer.Option(help="The name or folder of its text encoder.")],
    component: Annotated[str, typer.Option(help="The component's name.")] = "bga_ner",
    output: Annotated[Path, typer.Option(help="The JSON file to write.")] = Path("docs/runs/package.json"),
) -> None:
    """Measure the size of a trained component, beside that of the text encoder that it was made from.

    Example: python -m spacy_bga measure-package training/model-best --encoder sentence-transformers/all-MiniLM-L6-v2
    """
    from spacy_bga.evaluation.package_size import measure_package
    from spacy_bga.evaluation.records import write_json

    with exit_on_error():
        sizes = measure_package(pipeline, encoder, component=component)
    write_json(output, sizes)
    typer.echo(f"Component {sizes['model_mb']} MB, text encoder {sizes['text_encoder_mb']} MB. Written to {output}")
