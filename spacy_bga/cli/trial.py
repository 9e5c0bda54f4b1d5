"""`python -m spacy_bga trial`: do pictures pay on one's own posts?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_bga.cli._app import app, exit_on_error


@app.command("trial")
def trial_command(
    labelled: Annotated[Path, typer.Argument(help="Posts with entities, in any format that `convert` takes.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder of the trial.")] = Path("trial"),
    images: Annotated[Path | None, typer.Option(help="The image root of the posts, if they have images.")] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="Texts with images and without labels, such as a catalogue of names.")
    ] = None,
    pair_images: Annotated[Path | None, typer.Option(help="Their image root; by default their own folder.")] = None,
    test: Annotated[Path | None, typer.Option(help="Posts to score by; by default a quarter of the others.")] = None,
    minutes: Annotated[float, typer.Option(min=0, help="The time for training, about.")] = 30,
    seeds: Annotated[int, typer.Option(min=1, help="The most seeds.")] = 5,
    lang: Annotated[str, typer.Option("--lang", "-l", help="The language whose tokenizer to use.")] = "en",
    text_encoder: Annotated[str | None, typer.Option(help="A folder, or a name on the Hugging Face Hub.")] = None,
    vision_encoder: Annotated[str | None, typer.Option(help="The same of CLIP, ViT or DINOv2.")] = None,
    visual_features: Annotated[
        Path | None,
        typer.Option(help="Given features in place of a vision encoder: .safetensors, or a folder of them."),
    ] = None,
) -> None:
    """Find out whether pictures pay on your own posts, by how much, and why.

    Trains text alone, BGA, and BGA with shuffled pictures, with as many seeds as the time allows, and writes what was
    found to trial.md and trial.json, and posts on which they differ to posts.html. If it was stopped, the same command
    goes on; for other data, give it another folder.

    Example: python -m spacy_bga trial posts.jsonl --images photos --pairs catalogue/pairs.jsonl --minutes 30
    """
    from dataclasses import asdict

    from spacy_bga.evaluation.records import write_json
    from spacy_bga.trial.arms import Trial
    from spacy_bga.trial.materials import gather
    from spacy_bga.trial.page import render_findings, write_posts
    from spacy_bga.trial.verdict import Findings

    with exit_on_error():
        materials = gather(
            labelled,
            output,
            test=test,
            images=images,
            pairs=pairs,
            pair_images=pair_images,
            features=visual_features,
            lang=lang,
            tell=typer.echo,
        )
        trial = Trial(materials, minutes, seeds, lang, text_encoder, vision_encoder, visual_features)
        found = []
        for scores in trial.run():
            found.append(scores)
            findings = Findings.from_seeds(found)
            page = render_findings(findings, materials)
            (output / "trial.md").write_text(page, encoding="utf8")
            told = {**asdict(findings), "answer": findings.answer, "sentence": findings.sentence}
            write_json(output / "trial.json", told)
            typer.echo(f"Seed {len(found) - 1}: {findings.sentence}")
        write_posts(materials, output / "posts.html")
    typer.echo(page)
    typer.echo(f"Written to {output / 'trial.md'}, with trial.json and posts.html beside it")
