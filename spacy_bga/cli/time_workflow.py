"""`python -m spacy_bga time-workflow`: time a workflow of the project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("time-workflow")
def time_workflow_command(
    workflow: Annotated[str, typer.Argument(help="The workflow's name in project.yml.")] = "all",
    output: Annotated[
        Path | None, typer.Option(help="The JSON file to write.", show_default="docs/runs/<workflow>_workflow.json")
    ] = None,
) -> None:
    """Run a workflow of the project from nothing and write down how long it took; a failed one is not written.

    Example: python -m spacy_bga time-workflow all
    """
    from spacy_bga.evaluation.records import write_json
    from spacy_bga.evaluation.workflow import time_workflow

    with exit_on_error():
        times = time_workflow(workflow)
    output = output or Path("docs/runs") / f"{workflow}_workflow.json"
    write_json(output, times)
    typer.echo(f"{times['wall_s']} s. Written to {output}")
