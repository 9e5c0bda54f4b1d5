"""`python -m spacy_bga reliability mutation`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import exit_on_error
from spacy_bga.cli.reliability._campaign import EVIDENCE, PAGE, check_packages, record_campaign, reliability_app, say


@reliability_app.command("mutation")
def mutation_command(
    module: Annotated[list[str] | None, typer.Option(help="Only this module; may be repeated. By default all.")] = None,
    mutants: Annotated[int, typer.Option(min=0, help="Mutants of each module, drawn at random; 0 for all.")] = 150,
    seed: Annotated[int, typer.Option(help="Draws the mutants.")] = 0,
    output: Annotated[Path, typer.Option(help="The JSON file; the figures of other campaigns stay.")] = EVIDENCE,
    page: Annotated[Path, typer.Option(help="The Markdown file to write from it.")] = PAGE,
    work: Annotated[Path, typer.Option(help="A folder of finished modules, to go on from.")] = Path(
        "training/mutation"
    ),
) -> None:
    """Change the code of the CRF, the sampler, the tags and the images, and see whether their tests notice. Needs a
    clone, the extra `dev`, and a system that can fork.

    Example: python -m spacy_bga reliability mutation --mutants 150
    """
    from spacy_bga.reliability.mutation import check_modules, run_mutation

    with exit_on_error():
        targets = check_modules(module or [])
        check_packages("mutmut", "pytest", "xdist")
        record_campaign(
            "mutation",
            output,
            page,
            lambda: run_mutation(Path.cwd(), work, targets, mutants=mutants, seed=seed, progress=say),
        )
