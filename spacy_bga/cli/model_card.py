"""`python -m spacy_bga model-card`: write the model card of a trained pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("model-card")
def model_card_command(
    pipeline: Annotated[Path, typer.Argument(help="The folder of a trained pipeline.")],
    metrics: Annotated[Path | None, typer.Option(help="What `spacy evaluate --output` wrote.")] = None,
    dataset: Annotated[str, typer.Option(help="What to call the texts that were scored there.")] = "the test set",
    text: Annotated[
        list[str] | None, typer.Option(help="Show what the pipeline finds in this text; may be repeated.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The package's name, as for `spacy package`.")] = None,
    version: Annotated[str | None, typer.Option(help="The package's version, as for `spacy package`.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="The Markdown file to write.", show_default="PIPELINE/README.md")
    ] = None,
) -> None:
    """Write the model card of a trained pipeline, with the YAML that the Hugging Face hub reads.

    `spacy package` takes README.md from the pipeline's folder into the package. Without --metrics the card has the
    scores of the development set. Sources, author and licence are those of meta.json, which the callback
    `spacy_bga.complete_meta.v1` completes in training.

    Example: python -m spacy_bga model-card training/model-best --metrics metrics.json --name my_ner
    --text "Kevin Durant joins the Warriors"
    """
    from spacy_bga.evaluation.records import write_text
    from spacy_bga.evaluation.tagging import load_pipeline
    from spacy_bga.sharing.model_card import model_card, read_scores

    with exit_on_error():
        scores = read_scores(metrics, dataset=dataset) if metrics is not None else None
        nlp = load_pipeline(pipeline)
        nlp.meta.update({key: value for key, value in (("name", name), ("version", version)) if value})
        card = model_card(nlp, scores, texts=text or ())
    output = output or pipeline / "README.md"
    write_text(output, card)
    typer.echo(f"Written to {output}")
