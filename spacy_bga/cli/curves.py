"""`python -m spacy_bga curves`: learning curves as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("curves")
def curves_command(
    logs: Annotated[list[Path], typer.Argument(help="Training logs: JSONL of [training.logger] output_file.")],
    output: Annotated[Path, typer.Option(help="The SVG file to write.")] = Path("curves.svg"),
    title: Annotated[str, typer.Option(help="The title of the figure.")] = "Learning curves",
) -> None:
    """Draw the score on dev and each term of the loss over the steps of training; several logs share one picture.

    Needs matplotlib (`pip install "spacy_bga[figures]"`). Works during training, too, and for logs of spaCy's own.

    Example: python -m spacy_bga curves training/bga/log.jsonl training/text_only/log.jsonl --output curves.svg
    """
    from spacy_bga.errors import BGAError, Errors
    from spacy_bga.evaluation.learning_curves import describe_run, draw_learning_curves, run_names
    from spacy_bga.evaluation.training_log import read_log

    with exit_on_error():
        if output.suffix.lower() != ".svg":
            raise BGAError(Errors.B632.format(path=output))
        runs = dict(zip(run_names(logs), map(read_log, logs), strict=True))
        figure = draw_learning_curves(runs, title=title)
    for name, rows in runs.items():
        typer.echo(describe_run(name, rows))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(figure, encoding="utf8")
    typer.echo(f"Written to {output}")
