"""`python -m spacy_bga reliability soak`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import exit_on_error
from spacy_bga.cli.reliability._campaign import EVIDENCE, PAGE, record_campaign, reliability_app, say


@reliability_app.command("soak")
def soak_command(
    pipeline: Annotated[Path | None, typer.Argument(help="A trained pipeline. By default a tiny one is made.")] = None,
    texts: Annotated[Path | None, typer.Argument(help="A .spacy file whose texts posts are made of.")] = None,
    minutes: Annotated[float, typer.Option(min=0.01, help="How long the stream is tagged.")] = 60.0,
    share: Annotated[
        float, typer.Option(min=0.01, max=1, help="How much of one processor's time the stream may take.")
    ] = 1.0,
    requests: Annotated[int, typer.Option(min=1, help="Requests to the server, each of two ways.")] = 2000,
    clients: Annotated[int, typer.Option(min=1, help="Clients at once.")] = 8,
    seed: Annotated[int, typer.Option(help="Draws posts and requests.")] = 0,
    output: Annotated[Path, typer.Option(help="The JSON file; the figures of other campaigns stay.")] = EVIDENCE,
    page: Annotated[Path, typer.Option(help="The Markdown file to write from it.")] = PAGE,
) -> None:
    """Let a pipeline work for long: a stream in one process, a server of many threads, forks, spawns and threads. Needs
    the extra `benchmark`.

    The exit code is 1 if an answer was missing, late or another one than at first.

    Example: python -m spacy_bga reliability soak training/bga/model-best corpus/test.spacy --minutes 60
    """
    import tempfile
    from importlib.util import find_spec

    from spacy_bga.errors import BGAError, Errors

    with exit_on_error(), tempfile.TemporaryDirectory() as folder:
        if find_spec("psutil") is None:
            raise BGAError(Errors.B752)
        from spacy_bga.reliability.soak.campaign import run_soak
        from spacy_bga.reliability.subject import find_subject

        subject = find_subject(pipeline, texts, limit=None, work=Path(folder))
        options = {"minutes": minutes, "share": share, "requests": requests, "clients": clients, "seed": seed}
        figures = record_campaign("soak", output, page, lambda: run_soak(subject, **options, progress=say))
    raise typer.Exit(
        code=int(any(figures[name] for name in ("soak_changed_answers", "served_faults", "processes_failed")))
    )
