"""`python -m spacy_bga runs`: train the runs of an experiment plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("runs")
def runs_command(
    plan: Annotated[Path, typer.Argument(help="The plan, a YAML file.")],
    output: Annotated[Path, typer.Option(help="Gets a folder of the plan's name, with one JSON a run.")] = Path(
        "docs/runs"
    ),
    only: Annotated[list[str] | None, typer.Option(help="The name of a run, may be repeated. By default all.")] = None,
    set: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for a plan's variable, may be repeated.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each training.")] = 1,
    keep_models: Annotated[bool, typer.Option(help="Keep all trained pipelines in training/runs.")] = False,
    force: Annotated[bool, typer.Option(help="Do runs again that are done already.")] = False,
) -> None:
    """Train the runs of an experiment plan, one after the other, and score each on the test set once.

    Runs that are done are left alone, so the command takes up where it stopped; and several of them, on one machine,
    can share the runs of a plan. The exit code is 1 if a run failed.

    Example: python -m spacy_bga runs configs/runs/twitter2017.yml --set pair_images=photos --only bga_pairs
    """
    from spacy_bga.evaluation.plan import parse_variables, read_plan
    from spacy_bga.evaluation.runs import run_plan

    with exit_on_error():
        outcomes = run_plan(
            read_plan(plan, variables=parse_variables(set or [])),
            output,
            only=only or [],
            force=force,
            keep_models=keep_models,
            threads=threads,
            progress=lambda line: typer.echo(line, err=True),
        )
    for outcome in outcomes:
        typer.echo(f"{outcome.run.key}: {outcome.status}")
    raise typer.Exit(code=int(any(outcome.status == "failed" for outcome in outcomes)))
