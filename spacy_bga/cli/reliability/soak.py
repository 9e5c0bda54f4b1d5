"""`python -m spacy_bga reliability soak`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import exit_on_error
from spacy_bga.cli.reliability._campaign import EVIDENCE, PAGE, record_campaign, reliability_app


@reliability_app.command("soak")
def soak_command(
    pipeline: Annotated[Path | None, typer.Argument(help="A trained pipeline. By default a tiny one is made.")] = None,
    texts: Annotated[Path | None, typer.Argument(help="A .spacy file whose texts posts are made of.")] = None,
    minutes: Annotated[float, typer.Option(min=0.01, help="How long the stream is tagged.")] = 60.0,
    share: Annotated[
        float, typer.Option(min=0.01, max=1, help="How much of one processor's time the stream may take.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Draws the posts.")] = 0,
    output: Annotated[Path, typer.Option(help="The JSON file; the figures of other campaigns stay.")] = EVIDENCE,
    page: Annotated[Path, typer.Option(help="The Markdown file to write from it.")] = PAGE,
) -> None:
    """Let one process tag a stream of posts for long, in memory zones, and watch its memory and vocabulary. Needs the
    extra `benchmark`.

    The exit code is 1 if a text had other entities than at first.

    Example: python -m spacy_bga reliability soak training/bga/model-best corpus/test.spacy --minutes 60
    """
    import tempfile
    from importlib.util import find_spec

    from spacy_bga.errors import BGAError, Errors

    with exit_on_error(), tempfile.TemporaryDirectory() as folder:
        if find_spec("psutil") is None:
            raise BGAError(Errors.B752)
        from spacy_bga.reliability.soak.stream import run_soak
        from spacy_bga.reliability.subject import find_subject

        subject = find_subject(pipeline, texts, limit=None, work=Path(folder))
        figures = record_campaign(
            "soak", output, page, lambda: run_soak(subject, minutes=minutes, share=share, seed=seed)
        )
    raise typer.Exit(code=int(figures["soak_changed_answers"] > 0))
