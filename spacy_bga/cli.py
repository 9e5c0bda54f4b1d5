"""The console: `python -m spacy_bga COMMAND`. Each command is a thin call into one of the packages below."""

from __future__ import annotations

import typer

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
