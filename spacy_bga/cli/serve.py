"""`python -m spacy_bga serve`: a pipeline behind an HTTP endpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error
from spacy_bga.cli.annotate import EngineName
from spacy_bga.serving.limits import Limits

DEFAULT = Limits()


@app.command("serve")
def serve_command(
    pipeline: Annotated[str, typer.Argument(help="The folder or the package of a trained pipeline.")],
    host: Annotated[str, typer.Option(help="Where to listen; by default only this machine is heard.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: any that is free.")] = 8000,
    engine: Annotated[EngineName, typer.Option(help="local: this process; ray: the extra, and RAY_ADDRESS.")] = (
        EngineName.local
    ),
    workers: Annotated[int, typer.Option(min=1, help="Replicas of Ray Serve, each with one processor.")] = 1,
    batch_size: Annotated[int, typer.Option(min=1, help="The most texts that are tagged together.")] = DEFAULT.batch,
    window: Annotated[float, typer.Option(min=0, help="Milliseconds to wait for more texts.")] = 1000 * DEFAULT.window,
    max_waiting: Annotated[int, typer.Option(min=1, help="Texts that may wait, else 429.")] = DEFAULT.waiting,
    max_body: Annotated[int, typer.Option(min=1, help="Bytes of a request, else 413.")] = DEFAULT.body,
    max_text: Annotated[int, typer.Option(min=1, help="Characters of a text, else 422.")] = DEFAULT.text,
    max_texts: Annotated[int, typer.Option(min=1, help="Texts of a request, else 422.")] = DEFAULT.texts,
    max_pixels: Annotated[int, typer.Option(min=1, help="Pixels of an image, else 422.")] = DEFAULT.pixels,
) -> None:
    """Answer with the entities of texts, at /entities, /entities/batch, /health, /ready, /metrics and /docs.

    Texts of many requests are tagged together. Too many at once are refused with 429; what was accepted is answered,
    also when the server is ended (SIGTERM, Ctrl+C). Needs the extra `serve`.

    Example: python -m spacy_bga serve training/model-best
    """
    limits = Limits(max_body, max_text, max_texts, max_pixels, max_waiting, batch_size, window / 1000)

    def tell(address: str) -> None:
        typer.echo(f"{address} answers; see {address}/docs")

    with exit_on_error():
        if engine is EngineName.ray:
            from spacy_bga.serving.ray_server import serve_on_ray

            serve_on_ray(pipeline, limits, host=host, port=port, replicas=workers, started=tell)
        else:
            from spacy_bga.serving.server import serve

            serve(pipeline, limits, host=host, port=port, started=tell)
