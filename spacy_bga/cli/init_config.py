"""`python -m spacy_bga init-config`: a config for data of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("init-config")
def init_config_command(
    output: Annotated[Path, typer.Argument(help="The config to write, or - for the console.", allow_dash=True)],
    base: Annotated[
        str,
        typer.Option(
            help="What to begin with: starter (small encoders, for a CPU), text_only, align (pairs only) or paper "
            "(BERT-base and CLIP, both trained, for a GPU)."
        ),
    ] = "starter",
    lang: Annotated[str, typer.Option("--lang", "-l", help="The language whose tokenizer to use.")] = "en",
    text_encoder: Annotated[str | None, typer.Option(help="A folder, or a name on the Hugging Face Hub.")] = None,
    vision_encoder: Annotated[str | None, typer.Option(help="The same of CLIP, ViT or DINOv2.")] = None,
    visual_features: Annotated[
        Path | None,
        typer.Option(help="Given features in place of a vision encoder: .safetensors, or a folder of them."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Entity labels between commas. By default those of the training data.")
    ] = None,
    gpu: Annotated[
        bool | None, typer.Option("--gpu/--cpu", "-G/-C", help="What trains.", show_default="as base")
    ] = None,
    train: Annotated[
        Path | None, typer.Option(help="Training data: its texts are counted, for as many steps as they need.")
    ] = None,
    dev: Annotated[Path | None, typer.Option(help="Data to choose the best weights by.")] = None,
    images: Annotated[Path | None, typer.Option(help="The image root of the training data.")] = None,
    pairs: Annotated[Path | None, typer.Option(help="Image-text pairs without labels.")] = None,
    pair_images: Annotated[Path | None, typer.Option(help="The image root of the pairs.")] = None,
    features: Annotated[Path | None, typer.Option(help="A folder to keep visual features in.")] = None,
    aligner: Annotated[Path | None, typer.Option(help="A pipeline that has learnt to align, to begin with.")] = None,
    force: Annotated[bool, typer.Option("--force", "-F", help="Replace the output if it is there.")] = False,
) -> None:
    """Write a filled, commented config, made from one of those that this package is tested with.

    `spacy train` and `spacy debug config` take it as it is, once it knows the data: by --train and --dev here, or by
    --paths.train and --paths.dev there.

    Example: python -m spacy_bga init-config my.cfg --train corpus/train.spacy --dev corpus/dev.spacy --images photos
    """
    from spacy_bga.errors import BGAError, Errors
    from spacy_bga.starter.config import Choices, make_config

    given = dict(train=train, dev=dev, images=images, pairs=pairs, pair_images=pair_images, features=features)
    choices = Choices(
        base=base,
        lang=lang,
        text_encoder=text_encoder,
        vision_encoder=vision_encoder,
        visual_features=visual_features,
        labels=[label.strip() for label in labels.split(",") if label.strip()] if labels is not None else None,
        gpu=gpu,
        paths={name: path for name, path in {**given, "aligner": aligner}.items() if path is not None},
    )
    to_console = str(output) == "-"
    with exit_on_error():
        if output.exists() and not force and not to_console:
            raise BGAError(Errors.B639.format(path=output))
        config = make_config(choices)
    if to_console:
        typer.echo(config, nl=False)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(config, encoding="utf8")
    typer.echo(f"Written to {output}. Next:")
    missing = "".join(f" --paths.{name} FILE" for name in ("train", "dev") if name not in choices.paths)
    typer.echo(f"  python -m spacy_bga debug-data {output}{missing}")
    typer.echo(f"  python -m spacy train {output} --output training{' --gpu-id 0' if gpu else ''}{missing}")
