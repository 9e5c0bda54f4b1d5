"""`python -m spacy_bga embedded`: write the embedded corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("embedded")
def embedded_command(
    output: Annotated[Path, typer.Argument(help="The folder to write.")] = Path("assets/embedded"),
    seed: Annotated[int, typer.Option(help="Another seed gives another corpus.")] = 0,
) -> None:
    """Write the embedded corpus: posts with entities, drawn pictures, and where the pictures show which entity.

    The folder gets train.txt, dev.txt and test.txt (CoNLL), pairs.jsonl, boxes.jsonl and images/. The repository's own
    assets/embedded is what this command writes with seed 0.

    Example: python -m spacy_bga embedded posts --seed 1
    """
    from spacy_bga.starter.embedded import generate

    with exit_on_error():
        statistics = generate(output, seed=seed)
    for part, numbers in statistics.items():
        if isinstance(numbers, dict):
            typer.echo(f"{part}: " + ", ".join(f"{number} {name}" for name, number in numbers.items()))
    typer.echo(f"Written to {output}")
