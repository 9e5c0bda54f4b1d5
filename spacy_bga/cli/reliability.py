"""`python -m spacy_bga reliability CAMPAIGN`: what proves that nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error

EVIDENCE, PAGE = Path("docs/evidence/reliability.json"), Path("docs/reliability.md")
reliability_app = typer.Typer(name="reliability", no_args_is_help=True)
app.add_typer(reliability_app)


@reliability_app.callback()
def reliability() -> None:
    """Campaigns that try to break what is relied on, and write down what came of it.

    Example: python -m spacy_bga reliability kills --kills 50
    """


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
    import sys
    import tempfile

    from spacy_bga.evaluation.provenance import command_line
    from spacy_bga.evaluation.records import write_text
    from spacy_bga.reliability.evidence import origin, record
    from spacy_bga.reliability.kills import run_kills
    from spacy_bga.reliability.page import reliability_page

    with exit_on_error(), tempfile.TemporaryDirectory() as folder:
        source = origin(command_line(["python", "-m", "spacy_bga", *sys.argv[1:]]))
        found = run_kills(
            work or Path(folder), kills=kills, steps=steps, seed=seed, progress=lambda line: typer.echo(line, err=True)
        )
        write_text(page, reliability_page(record(output, "kills", found["figures"], found["details"], source)))
    figures = found["figures"]
    typer.echo("\n".join(f"{name}: {value}" for name, value in figures.items()))
    identical = figures["resumed_trainings"] == figures["resumed_trainings_identical"]
    raise typer.Exit(code=int(figures["kills_without_loadable_state"] > 0 or not identical))
