"""`python -m spacy_bga debug-data`: check the data before training on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("debug-data", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def debug_data_command(
    ctx: typer.Context,
    config: Annotated[Path, typer.Argument(help="The config; other options override its settings, as in spaCy.")],
    json: Annotated[Path | None, typer.Option(help="Write all findings, with their places, to this file.")] = None,
    no_images: Annotated[bool, typer.Option("--no-images", help="Don't look at image files.")] = False,
    image_root: Annotated[
        list[Path] | None, typer.Option(help="A folder of images for readers that know none; may be repeated.")
    ] = None,
    original: Annotated[
        list[Path] | None,
        typer.Option(help="A CoNLL or JSONL file that was converted: what had to be mended? May be repeated."),
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Train on a few batches, to tell time and memory of an epoch.")
    ] = False,
    gpu_id: Annotated[int, typer.Option("--gpu-id", "-g", help="The GPU for --estimate, or -1 for CPU.")] = -1,
    code: Annotated[Path | None, typer.Option("--code", "-c", help="A Python file with registered functions.")] = None,
    ignore_warnings: Annotated[
        bool, typer.Option("--ignore-warnings", "-IW", help="Print errors and numbers only.")
    ] = False,
    no_format: Annotated[bool, typer.Option("--no-format", "-NF", help="No colours and symbols.")] = False,
) -> None:
    """Check the corpora of a config: labels, annotation, leaks between splits, images, and what is there to learn from.

    `spacy debug data` initializes the pipeline, and looks at entities only for spaCy's own `ner`. This command looks at
    entities for `bga_ner` and at images, by spaCy's thresholds, and loads no model without --estimate. Run both.

    Exits with 1 if there are errors: what stops training, or leaves nothing to learn. Warnings are yours to judge.

    Example: python -m spacy_bga debug-data configs/starter.cfg --paths.train corpus/train.spacy
    --paths.dev corpus/dev.spacy --paths.images photos --json report.json
    """
    from spacy.cli._util import import_code, parse_config_overrides, setup_gpu, show_validation_error
    from spacy.util import load_config
    from wasabi import Printer

    from spacy_bga.diagnostics.checkup import check_data
    from spacy_bga.diagnostics.report import print_report, write_report
    from spacy_bga.errors import BGAError, Errors

    with exit_on_error():
        if not config.is_file():
            raise BGAError(Errors.B363.format(path=config))
        with show_validation_error(config, hint_fill=False):
            overrides = parse_config_overrides(ctx.args)
            import_code(code)
            loaded = load_config(config, overrides=overrides, interpolate=True)
        if estimate:
            setup_gpu(gpu_id)
        report = check_data(
            loaded,
            look_at_images=not no_images,
            roots=image_root or (),
            originals=original or (),
            measure=estimate,
        )
        print_report(report, Printer(pretty=not no_format, line_max=100, ignore_warnings=ignore_warnings))
        if json is not None:
            write_report(report, json)
    if report.counts()["error"]:
        raise typer.Exit(code=1)
