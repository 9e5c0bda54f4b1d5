"""`python -m spacy_bga features`: visual features computed beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error

SHOWN = 3  # of what was left out


@app.command("features")
def features_command(
    source: Annotated[
        Path,
        typer.Argument(
            help="A folder of images; a .spacy file, with --images; or captions with keys, JSONL or CSV, with "
            "--text-encoder."
        ),
    ],
    output: Annotated[Path, typer.Argument(help="The folder to write, or to go on with.")],
    vision_encoder: Annotated[
        str, typer.Option(help="A folder, or a name on the Hugging Face Hub, of CLIP, ViT or DINOv2; or timm:NAME.")
    ] = "facebook/dinov2-small",
    images: Annotated[Path | None, typer.Option(help="The image root of the images that a .spacy file names.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="For timm, a .safetensors file of weights. By default those timm fetches.")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="The side of the images that the encoder sees. By default its own.")
    ] = None,
    grid: Annotated[int, typer.Option(min=1, help="Pool the patches to GRID x GRID at most.")] = 4,
    all_patches: Annotated[bool, typer.Option("--all-patches", help="Keep all patches instead.")] = False,
    text_encoder: Annotated[
        str | None, typer.Option(help="Of captions: a folder, or a name on the Hub, of a text encoder.")
    ] = None,
    key_field: Annotated[
        str | None, typer.Option(help="Of captions: what the key is called. By default key, or else image.")
    ] = None,
    caption_field: Annotated[str, typer.Option(help="Of captions: what they are called.")] = "caption",
    most_tokens: Annotated[int, typer.Option(min=1, help="Of captions: the tokens of each, at most.")] = 32,
    shard_size: Annotated[int, typer.Option(min=1, help="Keys in one file.")] = 1000,
) -> None:
    """Compute visual features once, by any frozen backbone, for `visual_features` in a config.

    OUTPUT gets .safetensors files, each written whole or not at all: if it was stopped, the same command goes on. The
    keys are the paths of images below their root, or those of the captions.

    Example: python -m spacy_bga features photos corpus/features --vision-encoder timm:tf_efficientnet_lite2
    """
    from spacy_bga.extraction.captions import extract_captions
    from spacy_bga.extraction.pictures import extract_images, named_images

    with exit_on_error():
        if text_encoder is not None:
            folder, problems = extract_captions(
                source,
                output,
                encoder=text_encoder,
                key_field=key_field,
                caption_field=caption_field,
                most_tokens=most_tokens,
                shard=shard_size,
            )
        else:
            folder, problems = extract_images(
                source if images is None else images,
                output,
                None if images is None else named_images(source),
                encoder=vision_encoder,
                weights=weights,
                image_size=image_size,
                grid=None if all_patches else grid,
                shard=shard_size,
            )
    for problem in problems[:SHOWN]:
        typer.echo(problem, err=True)
    if problems:
        typer.echo(f"Left out: {len(problems):,}", err=True)
    typer.echo(f"{output} has features of {len(folder.done):,} keys. Use them with:")
    typer.echo(f"  python -m spacy_bga init-config my.cfg --visual-features {output}")
