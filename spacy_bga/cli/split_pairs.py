"""`python -m spacy_bga split-pairs`: hold out image-text pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("split-pairs")
def split_pairs_command(
    source: Annotated[Path, typer.Argument(help="JSONL, in the folder that its image paths are relative to.")],
    output: Annotated[Path, typer.Argument(help="The JSON file to write.")],
    test: Annotated[int, typer.Option(min=1, help="How many images to test on.")] = 500,
    dev: Annotated[int, typer.Option(min=0, help="How many images to choose settings by.")] = 300,
    seed: Annotated[int, typer.Option(help="Another seed draws other images.")] = 0,
) -> None:
    """Choose which image-text pairs are held out, once and for all, so that nothing like them is trained on.

    Images that are nearly the same, and images whose texts are, stay together. For each held-out image the others of
    its kind are in no part; all else is to train on. `convert --split FILE --part PART` uses the file.

    Example: python -m spacy_bga split-pairs news/pairs.jsonl assets/splits/news.json --test 500 --dev 300
    """
    from spacy_bga.corpus.pair_splits import split_pairs
    from spacy_bga.evaluation.records import write_json

    with exit_on_error():
        split = split_pairs(source, test=test, dev=dev, seed=seed, name=output.stem)
    write_json(output, split.to_dict())
    typer.echo(f"{split.images} images in {split.groups} groups, the largest of {split.largest_group}")
    typer.echo(f"test: {len(split.test)}, dev: {len(split.dev)}, in no part: {len(split.excluded)} images")
    typer.echo(f"Written to {output}")
