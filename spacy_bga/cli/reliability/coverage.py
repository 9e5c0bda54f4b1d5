"""`python -m spacy_bga reliability coverage`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import exit_on_error
from spacy_bga.cli.reliability._campaign import EVIDENCE, PAGE, check_packages, record_campaign, reliability_app, say


@reliability_app.command("coverage")
def coverage_command(
    workers: Annotated[str, typer.Option(help="Processes that run tests: a number, or auto.")] = "auto",
    timeout: Annotated[int, typer.Option(min=1, help="Seconds that a test may take.")] = 600,
    output: Annotated[Path, typer.Option(help="The JSON file; the figures of other campaigns stay.")] = EVIDENCE,
    page: Annotated[Path, typer.Option(help="The Markdown file to write from it.")] = PAGE,
    work: Annotated[Path, typer.Option(help="A folder of finished parts, to go on from.")] = Path("training/coverage"),
) -> None:
    """Run all tests and count the branches of the package that they take. Needs a clone, and the extra `dev`.

    The exit code is 1 if a test failed.

    Example: python -m spacy_bga reliability coverage --workers auto
    """
    from spacy_bga.reliability.suite_coverage import run_coverage

    with exit_on_error():
        check_packages("coverage", "pytest", "xdist")
        figures = record_campaign(
            "coverage",
            output,
            page,
            lambda: run_coverage(Path.cwd(), work, workers=workers, timeout=timeout, progress=say),
        )
    raise typer.Exit(code=int(figures["tests_failed"] > 0))
