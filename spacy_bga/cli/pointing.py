"""`python -m spacy_bga pointing`: measure where in an image an entity points."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("pointing")
def pointing_command(
    model: Annotated[Path, typer.Argument(help="The folder of a pipeline saved with its visual branch.")],
    texts: Annotated[Path, typer.Argument(help="Texts that name entities, a .spacy file or a folder of them.")],
    boxes: Annotated[Path, typer.Argument(help="JSONL with the boxes of entities, such as the embedded corpus has.")],
    images: Annotated[Path, typer.Option(help="The image root of the texts.")],
    name: Annotated[str, typer.Option(help="What the result is called in the output.")] = "embedded",
    output: Annotated[Path, typer.Option(help="The JSON file to write; results of other names in it stay.")] = Path(
        "docs/evidence/pointing.json"
    ),
    pictures: Annotated[Path | None, typer.Option(help="A folder for a picture of each entity's map.")] = None,
) -> None:
    """Measure how often the patch that an entity is most alike lies in the box of what the entity names.

    Example: python -m spacy_bga pointing training/bga/model-best corpus/embedded/test.spacy
    assets/embedded/boxes.jsonl --images assets/embedded/images
    """
    from spacy_bga.evaluation.alignment import load_pipeline
    from spacy_bga.evaluation.pointing import measure_pointing
    from spacy_bga.evaluation.records import read_json, write_json

    with exit_on_error():
        others = read_json(output) or {}
        measured = measure_pointing(load_pipeline(model), texts, boxes, images, pictures=pictures)
    write_json(output, {**others, name: measured})
    low, high = measured["model_ci"]
    typer.echo(f"Of {measured['n']} entities with a box, {measured['model']} % are hit ({low} to {high})")
    for key, label in (("centre", "the centre"), ("random", "a patch by chance"), ("other_entity", "other entities")):
        typer.echo(f"  by {label}: {measured[key]} %")
    typer.echo(f"Written to {output}")
