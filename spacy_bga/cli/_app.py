"""The console's application, which every command adds itself to."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from spacy_bga.errors import BGAError

app = typer.Typer(
    name="spacy_bga",
    help="Multimodal named entity recognition for spaCy: data, encoders and experiments.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def main() -> None:
    """Multimodal named entity recognition for spaCy: data, encoders and experiments."""


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Tell of a BGAError without its traceback, and exit with 1; tell of warnings without the line of code."""
    formatted = warnings.formatwarning
    warnings.formatwarning = lambda message, *place, **line: f"{message}\n"
    try:
        yield
    except BGAError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(code=1) from None
    finally:
        warnings.formatwarning = formatted
