"""`python -m spacy_bga push`: publish a packaged pipeline on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("push")
def push_command(
    wheel: Annotated[Path, typer.Argument(help="The wheel of a pipeline, by `spacy package --build wheel`.")],
    repo: Annotated[
        str | None,
        typer.Option(help="OWNER/NAME on the hub.", show_default="the package's name, of the account logged in"),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository a private one.")] = False,
    message: Annotated[str, typer.Option("--message", "-m", help="The commit message.")] = "Update spaCy pipeline",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be published. Asks nothing of the network.")
    ] = False,
) -> None:
    """Publish a packaged pipeline on the Hugging Face hub: its files, its model card, and the wheel for pip.

    Log in first, with `huggingface-cli login` or the variable HF_TOKEN. Wheels of earlier versions are removed.

    Example: python -m spacy_bga push packages/en_my_ner-0.1.0/dist/en_my_ner-0.1.0-py3-none-any.whl --dry-run
    """
    from spacy_bga.sharing.hub import lay_out, push

    with exit_on_error():
        if not dry_run:
            url = push(wheel, repo, private=private, message=message)
            typer.echo(f"Published. Install it with: pip install {url}")
            return
        with lay_out(wheel) as repository:
            typer.echo(f"{repository.metadata}\n{repo or f'(your account)/{repository.name}'} would hold:")
            for path, size in repository.files.items():
                typer.echo(f"{size:>13,}  {path}")
            typer.echo(f"{sum(repository.files.values()):>13,}  bytes. Nothing was published.")
