"""What the commands of all campaigns share: the files they write, and how they write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from spacy_bga.cli._app import app

EVIDENCE, PAGE = Path("docs/evidence/reliability.json"), Path("docs/reliability.md")
reliability_app = typer.Typer(name="reliability", no_args_is_help=True)
app.add_typer(reliability_app)


@reliability_app.callback()
def reliability() -> None:
    """Campaigns that try to break what is relied on, and write down what came of it.

    Example: python -m spacy_bga reliability kills --kills 50
    """


def say(line: str) -> None:
    typer.echo(line, err=True)


def check_packages(*names: str) -> None:
    """RAISES (BGAError): A package of the extra `dev` isn't there. names (str): As they are imported."""
    from importlib.util import find_spec

    from spacy_bga.errors import BGAError, Errors

    if missing := [name for name in names if find_spec(name) is None]:
        raise BGAError(Errors.B760.format(packages=", ".join(missing)))


def record_campaign(campaign: str, output: Path, page: Path, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run a campaign, write down what it found, and print its figures. RETURNS (dict[str, Any]): These."""
    import sys

    from spacy_bga.evaluation.provenance import command_line
    from spacy_bga.evaluation.records import write_text
    from spacy_bga.reliability.evidence import origin, record
    from spacy_bga.reliability.page import reliability_page

    source = origin(command_line(["python", "-m", "spacy_bga", *sys.argv[1:]]))
    found = run()
    write_text(page, reliability_page(record(output, campaign, found["figures"], found["details"], source)))
    typer.echo("\n".join(f"{name}: {value}" for name, value in found["figures"].items()))
    return found["figures"]
