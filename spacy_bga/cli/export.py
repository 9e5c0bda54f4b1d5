"""`python -m spacy_bga export`: write a pipeline that tags faster on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("export")
def export_command(
    pipeline: Annotated[str, typer.Argument(help="The folder or the package of a trained pipeline.")],
    output: Annotated[Path, typer.Argument(help="The folder to write.")],
    backend: Annotated[
        str, typer.Option(help="What is to run it: onnx, openvino, or auto: onnx for few wordpieces, else torch.")
    ] = "onnx",
    precision: Annotated[str, typer.Option(help="fp32; int8 for onnx; bf16 for torch.")] = "fp32",
) -> None:
    """Write a pipeline that tags faster on a CPU: its text branch as a graph for ONNX Runtime or OpenVINO.

    Example: python -m spacy_bga export training/model-best training/model-onnx --backend onnx --precision int8
    """
    from spacy_bga.pipeline.export import export_pipeline

    with exit_on_error():
        names = export_pipeline(pipeline, output, backend=backend, precision=precision)
    typer.echo(f"Exported {', '.join(names)} for {backend} in {precision}. Written to {output}")
