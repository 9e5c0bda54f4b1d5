"""`python -m spacy_bga reliability CAMPAIGN`: what proves that nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

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
    import tempfile

    from spacy_bga.reliability.kills import run_kills

    with exit_on_error(), tempfile.TemporaryDirectory() as folder:
        figures = _record(
            "kills",
            output,
            page,
            lambda: run_kills(work or Path(folder), kills=kills, steps=steps, seed=seed, progress=_say),
        )
    identical = figures["resumed_trainings"] == figures["resumed_trainings_identical"]
    raise typer.Exit(code=int(figures["kills_without_loadable_state"] > 0 or not identical))


@reliability_app.command("fuzz")
def fuzz_command(
    inputs: Annotated[int, typer.Option(min=1, help="How many inputs, of all forms together.")] = 110_000,
    kind: Annotated[list[str] | None, typer.Option(help="Only this kind; may be repeated. By default all.")] = None,
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
        from spacy_bga.reliability.fuzz.campaign import run_fuzz
        from spacy_bga.reliability.fuzz.kinds import KINDS, check_kinds

        kinds = check_kinds(kind or KINDS)
        figures = _record(
            "fuzz",
            output,
            page,
            lambda: run_fuzz(work, inputs=inputs, seed=seed, kinds=kinds, guided=guided, traced=traced, progress=_say),
        )
    raise typer.Exit(code=int(any(figures[name] for name in ("crashes", "unclear_errors", "forbidden_actions"))))


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _record(campaign: str, output: Path, page: Path, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
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
