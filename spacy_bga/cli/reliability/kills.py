"""`python -m spacy_bga reliability kills`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import exit_on_error
from spacy_bga.cli.reliability._campaign import EVIDENCE, PAGE, record_campaign, reliability_app, say


@reliability_app.command("kills")
def kills_command(
    kills: Annotated[int, typer.Option(min=1, help="How often a training is killed.")] = 50,
    steps: Annotated[int, typer.Option(min=4, help="Updates of each training.")] = 60,
    seed: Annotated[int, typer.Option(help="Decides on the moments.")] = 0,
    output: Annotated[Path, typer.Option(help="The JSON file; the figures of other campaigns stay.")] = EVIDENCE,
    page: Annotated[Path, typer.Option(help="The Markdown file to write from it.")] = PAGE,
    work: Annotated[Path | None, typer.Option(help="A new folder to keep all files. By default none is kept.")] = None,
) -> None:
    """Kill trainings of a tiny pipeline at random moments, resume them, and compare with one that nothing disturbed.

    The exit code is 1 if a pipeline could not be loaded after a kill, or a resumed training ended otherwise.

    Example: python -m spacy_bga reliability kills --kills 50
    """
    import tempfile

    from spacy_bga.reliability.kills import run_kills

    with exit_on_error(), tempfile.TemporaryDirectory() as folder:
        figures = record_campaign(
            "kills",
            output,
            page,
            lambda: run_kills(work or Path(folder), kills=kills, steps=steps, seed=seed, progress=say),
        )
    identical = figures["resumed_trainings"] == figures["resumed_trainings_identical"]
    raise typer.Exit(code=int(figures["kills_without_loadable_state"] > 0 or not identical))
