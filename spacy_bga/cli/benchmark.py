"""`python -m spacy_bga benchmark`: measure speed, memory and start-up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("benchmark")
def benchmark_command(
    bga: Annotated[Path | None, typer.Option(help="A trained pipeline with BGA layers.")] = None,
    text_only: Annotated[Path | None, typer.Option(help="A trained pipeline of its text-only configuration.")] = None,
    onnx: Annotated[Path | None, typer.Option(help="What was exported of the first, in full precision.")] = None,
    auto: Annotated[Path | None, typer.Option(help="What was exported of the first with `--backend auto`.")] = None,
    int8: Annotated[Path | None, typer.Option(help="What was exported of the first in int8.")] = None,
    texts: Annotated[
        Path | None, typer.Option(help="A .spacy file with entities. By default the embedded corpus.")
    ] = None,
    encoder: Annotated[
        str, typer.Option(help="The text encoder's name or folder, the same for all.")
    ] = "sentence-transformers/all-MiniLM-L6-v2",
    vision_encoder: Annotated[
        str, typer.Option(help="The vision encoder, if a pipeline has to be built.")
    ] = "facebook/dinov2-small",
    only: Annotated[str, typer.Option(help="Sections to measure, by commas; the file keeps its others.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="A short form, to see that everything runs.")] = False,
    repeats: Annotated[int | None, typer.Option(min=1, help="Rounds that count.", show_default="5, quick: 2")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each process.")] = 1,
    output: Annotated[Path, typer.Option(help="The JSON file to write.")] = Path("docs/evidence/performance.json"),
    page: Annotated[Path, typer.Option(help="The Markdown file to write.")] = Path("docs/performance.md"),
    work: Annotated[Path, typer.Option(help="A folder for what is built on the spot.")] = Path("training/benchmark"),
) -> None:
    """Measure speed, memory and start-up against spaCy's transformer and ner and plain loops, in turns.

    Without pipelines, untrained ones are built. Sections: throughput, latency, training, start_up, memory, scaling,
    accuracy, growth, confidence. Leave the machine alone meanwhile.

    Example: python -m spacy_bga benchmark --bga training/bga/model-best --texts corpus/test.spacy --only throughput
    """
    import dataclasses
    import sys

    from spacy_bga.benchmark.setting import FULL, QUICK
    from spacy_bga.benchmark.suite import run_benchmark
    from spacy_bga.evaluation.provenance import command_line

    scale = QUICK if quick else FULL
    given = {"bga": bga, "text_only": text_only, "onnx": onnx, "auto": auto, "int8": int8}
    with exit_on_error():
        run_benchmark(
            {name: folder for name, folder in given.items() if folder is not None},
            encoder=encoder,
            vision_encoder=vision_encoder,
            texts=texts,
            scale=dataclasses.replace(scale, repeats=repeats) if repeats else scale,
            quick=quick,
            only=[name.strip() for name in only.split(",") if name.strip()],
            threads=threads,
            output=output,
            page=page,
            work=work,
            command=command_line(["python", "-m", "spacy_bga", *sys.argv[1:]]),
            progress=lambda line: typer.secho(line, dim=True, err=True),
        )
    typer.echo(f"Written to {output} and {page}")
