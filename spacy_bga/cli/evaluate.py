"""`python -m spacy_bga evaluate`: how good a pipeline is, where, and whether another one is better."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("evaluate")
def evaluate_command(
    model: Annotated[str, typer.Argument(help="The folder or the package of any pipeline that sets `doc.ents`.")],
    corpus: Annotated[Path, typer.Argument(help="Texts with entities: a .spacy file, a folder of them, or JSONL.")],
    images: Annotated[
        Path | None, typer.Option(help="The image root, or given features: only images there count.")
    ] = None,
    visual_context: Annotated[
        str | None,
        typer.Option(
            help="What a bga_ner attends to: generated, real (see --images) or auto. By default as it is set."
        ),
    ] = None,
    compare: Annotated[str | None, typer.Option(help="Another pipeline, to compare with on the same texts.")] = None,
    train: Annotated[
        Path | None, typer.Option(help="What was trained on, to tell entities that were seen there from others.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write all numbers to this JSON file.")] = None,
    page: Annotated[Path | None, typer.Option(help="Write the page to this Markdown file, too.")] = None,
    resamples: Annotated[int, typer.Option(min=100, help="How often to resample texts, for intervals.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the resampling.")] = 0,
    gpu_id: Annotated[int, typer.Option("--gpu-id", "-g", help="The GPU, or -1 for CPU.")] = -1,
    code: Annotated[Path | None, typer.Option("--code", "-c", help="A Python file with registered functions.")] = None,
) -> None:
    """Score the entities of a pipeline: in all, by label and length, seen in training or not, with an image or without.

    All scores are counted as `spacy evaluate` counts, and have bootstrap intervals. Also: what is confused with what;
    whether a `bga_ner` is as often right as it says; and with --compare, whether another pipeline is better or worse by
    more than chance. To score a pipeline that kept its visual branch with the images, --visual-context real.

    Example: python -m spacy_bga evaluate training/bga/model-best corpus/test.spacy --train corpus/train.spacy
    --images photos --compare training/text_only/model-best --output scores.json --page scores.md
    """
    from spacy.cli._util import import_code, setup_gpu

    from spacy_bga.evaluation.records import write_json, write_text
    from spacy_bga.evaluation.scorecard import evaluate
    from spacy_bga.evaluation.scorecard_page import scorecard_page

    import_code(code)
    if gpu_id >= 0:
        setup_gpu(gpu_id)
    with exit_on_error():
        record = evaluate(
            model,
            corpus,
            images=images,
            visual_context=visual_context,  # type: ignore[arg-type]  # which it checks
            compare=compare,
            train=train,
            resamples=resamples,
            seed=seed,
        )
    written = scorecard_page(record)
    typer.echo(written)
    if output is not None:
        write_json(output, record)
    if page is not None:
        write_text(page, written)
    for path in filter(None, (output, page)):
        typer.echo(f"Written to {path}")
