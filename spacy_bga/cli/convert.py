"""`python -m spacy_bga convert`: convert texts with images to the training format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("convert")
def convert_command(
    source: Annotated[
        str,
        typer.Argument(help="A file of CoNLL, JSON or JSONL, a folder of brat's, or hf:DATASET.", show_default=False),
    ],
    output: Annotated[Path, typer.Argument(help="The .spacy file to write.")],
    images: Annotated[
        Path | None,
        typer.Option(
            help="The image root. By default the source's folder; for CoNLL no images, or with --no-check-images the "
            "IMGID itself, as a key of given features."
        ),
    ] = None,
    image_prefix: Annotated[
        str, typer.Option(help="The folder below the image root that paths in JSONL are relative to.")
    ] = "",
    format: Annotated[
        str,
        typer.Option(
            help="auto, conll, jsonl, prodigy, doccano, label-studio, label-studio-min, spacy-json, brat or hf."
        ),
    ] = "auto",
    label_map: Annotated[list[str] | None, typer.Option(help="OLD=NEW: a label's new name; may be repeated.")] = None,
    lang: Annotated[str, typer.Option(help="The language whose tokenizer reads JSONL texts.")] = "en",
    split: Annotated[
        Path | None, typer.Option(help="A file of split-pairs, to convert only one part of the pairs in JSONL.")
    ] = None,
    part: Annotated[
        str | None, typer.Option(help="That part: train, dev or test. Of the last two, each image with one text.")
    ] = None,
    shuffle_images: Annotated[
        int | None, typer.Option(help="A seed: give every text another one's image, for a control experiment.")
    ] = None,
    check_images: Annotated[bool, typer.Option(help="Leave out images that are missing or broken.")] = True,
    skip: Annotated[int, typer.Option(min=0, help="Leave out so many texts at the beginning.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Convert only so many texts.")] = None,
    strict: Annotated[bool, typer.Option(help="Stop at the first line that can't be used.")] = False,
    offsets: Annotated[
        str, typer.Option(help="What offsets count: characters, utf-16 (as JavaScript does), or auto.")
    ] = "auto",
    report: Annotated[Path | None, typer.Option(help="Write the report to this file as JSON, too.")] = None,
) -> None:
    """Convert texts with images to spaCy's training format, and report what was found, mended and left out.

    CoNLL: an IMGID:NAME line (the image is NAME.jpg, .png, ... in the image root), then TOKEN<TAB>TAG lines.
    JSONL: {"text": ..., "image": PATH or list of paths, "spans": [{"start": ..., "end": ..., "label": ...}]}; without
    "spans" the text counts as not annotated. The exports of Prodigy, Doccano, Label Studio and brat, spaCy's older JSON
    and data sets of Hugging Face are recognised, and the report says what was seen.

    Example: python -m spacy_bga convert train.txt corpus/train.spacy --images photos --label-map OTHER=MISC
    """
    from spacy_bga.corpus.convert import convert, parse_label_map

    with exit_on_error():
        result = convert(
            source,
            output,
            images=images,
            image_prefix=image_prefix,
            format=format,  # type: ignore[arg-type]
            label_map=parse_label_map(label_map) if label_map else None,
            lang=lang,
            split=split,
            part=part,  # type: ignore[arg-type]
            shuffle_images=shuffle_images,
            check_images=check_images,
            skip=skip,
            limit=limit,
            strict=strict,
            offsets=offsets,  # type: ignore[arg-type]
        )
    typer.echo(result.to_text())
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(result.to_json(), encoding="utf8")
