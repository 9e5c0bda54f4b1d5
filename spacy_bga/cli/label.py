"""`python -m spacy_bga label`: label texts by a pipeline, to learn from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("label")
def label_command(
    model: Annotated[str, typer.Argument(help="The folder or the package of a pipeline that has learnt the labels.")],
    corpus: Annotated[Path, typer.Argument(help="Texts without labels: a .spacy file, a folder of them, or JSONL.")],
    output: Annotated[Path, typer.Argument(help="The .spacy file to write.")],
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="The least confidence of an entity. What is below is left open.")
    ] = 0.9,
    images: Annotated[Path | None, typer.Option(help="The image root, for a pipeline that looks at images.")] = None,
) -> None:
    """Label texts by a pipeline that has learnt from few, so that another one can learn from many: self-training.

    Entities that the pipeline is not sure of are neither taken nor denied: their tokens count as not annotated. What it
    overlooks counts as no entity. Texts that have labels keep them. Paths of images are kept, so that what comes out
    can stand in for `paths.pairs`.

    Example: python -m spacy_bga label training/model-best corpus/pairs/train corpus/pairs_labelled.spacy
    """
    from spacy_bga.corpus.convert import check_output, write_docs
    from spacy_bga.evaluation.pseudo_labels import label_corpus
    from spacy_bga.evaluation.tagging import load_pipeline

    with exit_on_error():
        check_output(output)
        found = label_corpus(load_pipeline(model), corpus, threshold=threshold, images=images)
    write_docs(found.docs, output)
    for notice in found.notices:
        typer.echo(notice, err=True)
    typer.echo(f"{len(found.docs)} texts, {found.annotated} of them as they were")
    for label in sorted(found.sure | found.unsure):
        typer.echo(f"{label}: {found.sure[label]} entities taken, {found.unsure[label]} left open")
    typer.echo(f"Written to {output}")
