"""`python -m spacy_bga reliability sameness`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import exit_on_error
from spacy_bga.cli.reliability._campaign import EVIDENCE, PAGE, record_campaign, reliability_app, say


@reliability_app.command("sameness")
def sameness_command(
    pipeline: Annotated[Path | None, typer.Argument(help="A trained pipeline. By default a tiny one is made.")] = None,
    texts: Annotated[Path | None, typer.Argument(help="A .spacy file whose texts are tagged.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The most texts. By default all.")] = None,
    steps: Annotated[int, typer.Option(min=2, help="Updates of each of the trainings that are compared.")] = 40,
    quick: Annotated[bool, typer.Option("--quick", help="A few cells, to see that everything runs.")] = False,
    output: Annotated[Path, typer.Option(help="The JSON file; the figures of other campaigns stay.")] = EVIDENCE,
    page: Annotated[Path, typer.Option(help="The Markdown file to write from it.")] = PAGE,
) -> None:
    """Save, load, copy, pickle and package a pipeline, run it in every way, and compare the entities; train a tiny one
    several times, and compare the files. Needs the package `build`.

    The exit code is 1 if anything differs.

    Example: python -m spacy_bga reliability sameness training/bga/model-best corpus/test.spacy
    """
    import tempfile
    from importlib.util import find_spec

    from spacy_bga.errors import BGAError, Errors

    with exit_on_error(), tempfile.TemporaryDirectory() as folder:
        if find_spec("build") is None:
            raise BGAError(Errors.B755)
        from spacy_bga.reliability.sameness.campaign import run_sameness
        from spacy_bga.reliability.subject import find_subject

        subject = find_subject(pipeline, texts, limit=limit, work=Path(folder))
        figures = record_campaign(
            "sameness", output, page, lambda: run_sameness(subject, steps=steps, quick=quick, progress=say)
        )
    raise typer.Exit(code=int(figures["matrix_mismatches"] > 0))
