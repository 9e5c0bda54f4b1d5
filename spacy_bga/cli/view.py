"""`python -m spacy_bga view`: a page with texts, entities and images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("view")
def view_command(
    model: Annotated[str, typer.Argument(help="The folder or the package of a trained pipeline.")],
    corpus: Annotated[Path, typer.Argument(help="Texts: a .spacy file, a folder of them, or JSONL.")],
    images: Annotated[Path | None, typer.Option(help="The image root of the texts; for JSONL its own folder.")] = None,
    output: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("view.html"),
    limit: Annotated[int, typer.Option(min=0, help="Show only the first so many texts; 0: all of them.")] = 200,
    title: Annotated[str, typer.Option(help="The title of the page.")] = "Entities and images",
) -> None:
    """Write a page that shows texts with their images, and the entities found in them beside the gold ones.

    The page is one file that asks nothing of any network. Where a pipeline kept its visual branch, an entity shows what
    it is aligned with in its image.

    Example: python -m spacy_bga view training/bga/model-best corpus/embedded/test.spacy --images assets/embedded/images
    """
    from spacy_bga.evaluation.tagging import image_attr, load_pipeline, tag_corpus
    from spacy_bga.viewer import render

    with exit_on_error():
        nlp = load_pipeline(model)
        root = corpus.parent if images is None and corpus.suffix.lower() in (".jsonl", ".ndjson") else images
        tagged = tag_corpus(nlp, corpus, root, limit=limit or None)
        page = render(
            tagged.docs,
            gold=tagged.gold or None,
            nlp=nlp,
            images=root,
            attr=image_attr(nlp),
            title=title,
            notices=tagged.notices,
        )
        page.to_disk(output)
    typer.echo(f"{len(tagged.docs)} posts written to {output}")
