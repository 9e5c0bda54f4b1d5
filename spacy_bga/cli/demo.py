"""`python -m spacy_bga demo`: try a pipeline in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("demo")
def demo_command(
    model: Annotated[Path, typer.Argument(help="The folder of a trained pipeline.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port on this machine to listen at.")] = 8501,
    browser: Annotated[bool, typer.Option(help="Whether to open a browser.")] = True,
) -> None:
    """Type a post, drop an image, and see the entities change. Needs the extra `demo`; only this machine can reach it.

    Example: python -m spacy_bga demo training/bga/model-best
    """
    from spacy_bga.viewer.demo import run_demo

    with exit_on_error():
        code = run_demo(model, port=port, browser=browser)
    raise typer.Exit(code)
