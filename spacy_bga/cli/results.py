"""`python -m spacy_bga results`: write the page of results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("results")
def results_command(
    runs: Annotated[Path, typer.Option(help="The folder that `runs` wrote into.")] = Path("docs/runs"),
    output: Annotated[
        Path, typer.Option(help="The Markdown file to write; its figures go into a folder beside it.")
    ] = Path("docs/results.md"),
    evidence: Annotated[
        Path, typer.Option(help="The JSON file to write; ablation.json and alignment.json go beside it.")
    ] = Path("docs/evidence/main_job.json"),
) -> None:
    """Write the page of results and the main figures from the files of the runs. Nothing is measured here.

    Drawings need matplotlib (`pip install "spacy_bga[figures]"`); without it the page says so.

    Example: python -m spacy_bga results --output docs/results.md
    """
    from spacy_bga.evaluation.results import write_results

    with exit_on_error():
        results = write_results(runs, output, evidence)
    for piece in results.missing:
        typer.echo(f"Missing: {piece}", err=True)
    typer.echo(f"Written to {output} and {evidence}")
