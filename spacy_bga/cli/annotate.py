"""`python -m spacy_bga annotate`: find the entities of any number of texts."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


class EngineName(StrEnum):
    local = "local"
    ray = "ray"


class FormatName(StrEnum):
    parquet = "parquet"
    jsonl = "jsonl"


@app.command("annotate")
def annotate_command(
    pipeline: Annotated[str, typer.Argument(help="The folder or the package of a trained pipeline.")],
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="JSONL, CSV, Parquet or .spacy: a file or a folder, a path or a URL.")
    ],
    output: Annotated[str, typer.Argument(help="The folder to write, a path or a URL.")],
    workers: Annotated[int, typer.Option(min=1, help="Processes, each with one processor.")] = 1,
    engine: Annotated[EngineName, typer.Option(help="local: this machine; ray: the extra, and RAY_ADDRESS.")] = (
        EngineName.local
    ),
    format: Annotated[FormatName, typer.Option(help="Of what is written.")] = FormatName.parquet,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts that are tagged together.")] = 256,
    part_rows: Annotated[int, typer.Option(min=1, help="The most records of a file of the output.")] = 10_000,
    text: Annotated[str, typer.Option(help="The column, or key, of the text.")] = "text",
    id: Annotated[str, typer.Option(help="That of the id; without one, it is the file and the record's number.")] = (
        "id"
    ),
    image: Annotated[str, typer.Option(help="That of the image, for a pipeline that looks at images.")] = "image",
    images: Annotated[Path | None, typer.Option(help="The image root, for a pipeline that looks at images.")] = None,
) -> None:
    """Find the entities of any number of texts, with their confidences, on one processor, several, or a cluster.

    The output is in parts, each of which is written whole or not at all: a job that was killed is taken up by the same
    command. A record that can't be tagged is written with its error. The exit code is 1 if a file can't be read; the
    others are annotated then, and the same command does the rest once it is mended.

    Example: python -m spacy_bga annotate training/model-best posts entities --workers 2
    """
    from spacy_bga.annotation.annotate import annotate
    from spacy_bga.annotation.job import Columns, Job

    job = Job(
        pipeline,
        source,
        output,
        columns=Columns(text, id, image),
        images=str(images) if images else None,
        batch_size=batch_size,
        part_rows=part_rows,
        format=format.value,
    )
    with exit_on_error():
        found = annotate(job, workers=workers, engine=engine.value, progress=True)
    for problem in found.problems:
        typer.echo(problem, err=True)
    typer.echo(f"{found.records:,} records in {output}, {found.new:,} of them new, {found.failed:,} with an error")
    raise typer.Exit(code=int(bool(found.problems)))
