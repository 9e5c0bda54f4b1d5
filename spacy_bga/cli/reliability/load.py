"""`python -m spacy_bga reliability load`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import exit_on_error
from spacy_bga.cli.reliability._campaign import EVIDENCE, PAGE, record_campaign, reliability_app, say


@reliability_app.command("load")
def load_command(
    pipeline: Annotated[Path | None, typer.Argument(help="A trained pipeline. By default a tiny one is made.")] = None,
    texts: Annotated[Path | None, typer.Argument(help="A .spacy file whose texts are tagged.")] = None,
    requests: Annotated[int, typer.Option(min=1, help="Requests to the server.")] = 2000,
    clients: Annotated[int, typer.Option(min=1, help="Clients at once.")] = 8,
    limit: Annotated[int, typer.Option(min=1, help="The most texts.")] = 200,
    seed: Annotated[int, typer.Option(help="Draws the requests.")] = 0,
    output: Annotated[Path, typer.Option(help="The JSON file; the figures of other campaigns stay.")] = EVIDENCE,
    page: Annotated[Path, typer.Option(help="The Markdown file to write from it.")] = PAGE,
) -> None:
    """Hand a pipeline on to forks, spawned processes and threads, and load a server of it with good and bad requests.

    The exit code is 1 if an answer was missing, late or another one than the pipeline's.

    Example: python -m spacy_bga reliability load training/bga/model-best corpus/test.spacy
    """
    import tempfile

    with exit_on_error(), tempfile.TemporaryDirectory() as folder:
        from spacy_bga.reliability.load.campaign import run_load
        from spacy_bga.reliability.subject import find_subject

        subject = find_subject(pipeline, texts, limit=limit, work=Path(folder))
        figures = record_campaign(
            "load",
            output,
            page,
            lambda: run_load(subject, requests=requests, clients=clients, seed=seed, progress=say),
        )
    failed = ("handed_on_failed", "served_faults", "served_wrong_answers")
    raise typer.Exit(code=int(any(figures[name] for name in failed)))
