"""`python -m spacy_bga uptake`: what pictures add to tagging."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("uptake")
def uptake_command(
    test: Annotated[Path, typer.Argument(help="Texts with entities: a .spacy file, a folder of them, or JSONL.")],
    train: Annotated[Path, typer.Option(help="The labelled texts of the training.")],
    pairs: Annotated[Path, typer.Option(help="The image-text pairs of the training.")],
    text_only: Annotated[str, typer.Option(help="A pipeline that learnt from the labelled texts alone.")],
    bga: Annotated[str, typer.Option(help="One that learnt from the pairs as well.")],
    shuffled: Annotated[
        str | None, typer.Option(help="One that learnt from the pairs with another text's image each.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write all numbers to this JSON file.")] = None,
    resamples: Annotated[int, typer.Option(min=100, help="How often to resample texts, for intervals.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the resampling.")] = 0,
) -> None:
    """Show what pictures add: F1 of names seen with labels, known from pictures alone, never seen, and of all.

    A name is known from pictures alone if a text of the pairs has it and no label does. The pairs with shuffled images
    (`convert --shuffle-images`) are the control: what is gained with them, too, is not the pictures'.

    Example: python -m spacy_bga uptake corpus/test.spacy --train corpus/train.spacy --pairs corpus/pairs.spacy
    --text-only training/text_only/model-best --bga training/bga/model-best
    """
    from spacy_bga.evaluation.records import write_json
    from spacy_bga.evaluation.uptake import BGA, SHUFFLED, TEXT_ONLY, measure_uptake, uptake_table

    pipelines = {TEXT_ONLY: text_only, BGA: bga} | ({SHUFFLED: shuffled} if shuffled else {})
    with exit_on_error():
        measured = measure_uptake(pipelines, test, train=train, pairs=pairs, resamples=resamples, seed=seed)
    typer.echo(uptake_table(measured))
    if output is not None:
        write_json(output, measured)
