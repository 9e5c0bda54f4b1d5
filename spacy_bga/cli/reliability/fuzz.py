"""`python -m spacy_bga reliability fuzz`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import exit_on_error
from spacy_bga.cli.reliability._campaign import EVIDENCE, PAGE, record_campaign, reliability_app, say


@reliability_app.command("fuzz")
def fuzz_command(
    inputs: Annotated[int, typer.Option(min=1, help="How many inputs, of all forms together.")] = 110_000,
    kind: Annotated[
        list[str] | None, typer.Option(help="Only this kind, may be repeated; figures of others stay. By default all.")
    ] = None,
    guided: Annotated[int, typer.Option(min=0, help="Inputs more for each target of Atheris; 0 without it.")] = 0,
    traced: Annotated[int, typer.Option(min=0, help="Inputs of each form to see which branches they take.")] = 0,
    seed: Annotated[int, typer.Option(help="Draws the inputs.")] = 0,
    output: Annotated[Path, typer.Option(help="The JSON file; the figures of other campaigns stay.")] = EVIDENCE,
    page: Annotated[Path, typer.Option(help="The Markdown file to write from it.")] = PAGE,
    work: Annotated[Path, typer.Option(help="A folder of finished parts, to go on from them.")] = Path("training/fuzz"),
) -> None:
    """Try hostile and broken input: texts, images, corpora, configs, folders of pipelines, pages. Needs Linux, and the
    extra `fuzz`.

    The exit code is 1 if an input got neither an answer nor one clear error, or took too long or too much memory.

    Example: python -m spacy_bga reliability fuzz --inputs 110000 --guided 20000 --traced 40
    """
    from importlib.util import find_spec

    from spacy_bga.errors import BGAError, Errors

    with exit_on_error():
        needed = ["hypothesis", "html5lib", *["atheris"][:guided], *["coverage"][:traced]]
        if missing := [name for name in needed if find_spec(name) is None]:
            raise BGAError(Errors.B730.format(packages=", ".join(missing)))
        from spacy_bga.reliability.evidence import campaign_details
        from spacy_bga.reliability.fuzz.campaign import run_fuzz
        from spacy_bga.reliability.fuzz.kinds import KINDS, check_kinds

        kinds = check_kinds(kind or KINDS)
        earlier = campaign_details(output, "fuzz") if kind else {}
        figures = record_campaign(
            "fuzz",
            output,
            page,
            lambda: run_fuzz(
                work,
                inputs=inputs,
                seed=seed,
                kinds=kinds,
                guided=guided,
                traced=traced,
                earlier=earlier,
                progress=say,
            ),
        )
    raise typer.Exit(code=int(any(figures[name] for name in ("crashes", "unclear_errors", "forbidden_actions"))))
