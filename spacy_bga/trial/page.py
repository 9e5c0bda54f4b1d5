"""The pages of a trial: what was found, in Markdown, and the posts on which the arms differ, in HTML."""

from __future__ import annotations

from pathlib import Path

from spacy.tokens import Doc

from spacy_bga.evaluation.judged import squeeze
from spacy_bga.evaluation.markdown import number, table
from spacy_bga.evaluation.tagging import load_pipeline, read_gold, tag_texts
from spacy_bga.evaluation.uptake import BGA, PAIRS, TEXT_ONLY
from spacy_bga.trial.arms import ARMS
from spacy_bga.trial.materials import Materials
from spacy_bga.trial.verdict import SLICES, Findings

MOST_POSTS = 10


def render_findings(findings: Findings, materials: Materials) -> str:
    """RETURNS (str): A page in Markdown."""
    rows = [
        [
            name,
            findings.entities[name],
            *(number(findings.f1[name][arm], 1) if findings.entities[name] else None for arm in ARMS),
        ]
        for name in SLICES
    ]
    posts = ", ".join(
        f"{count:,} to {what}"
        for count, what in zip(
            (materials.posts["train"], materials.posts["dev"], materials.posts["test"]),
            ("learn from", "choose by", "score by"),
            strict=True,
        )
    )
    lines = [
        "# Do pictures pay?",
        "",
        f"**{findings.sentence}**",
        "",
        f"F1 of the entities of {materials.posts['test']:,} posts, {_seeds(findings.seeds)}:",
        "",
        table(["names", "entities", *ARMS], rows),
        f"- Headroom: text alone would gain {findings.headroom:.1f} points if all its kinds were right. "
        "Pictures can tell kinds; they can't tell where a name begins and ends.",
        f"- Trust: {findings.trust:.2f}. So far, from 0 to 1, does what words look like tell labels beyond the words "
        "themselves (a partial correlation, on names that were left out); the tagger goes by pictures as far as that.",
        f"- Control: with shuffled pictures {findings.control.mean:+.1f} points [{findings.control.low:+.1f}, "
        f"{findings.control.high:+.1f}] over text alone.",
        f"- Data: {posts}; {materials.pairs:,} image-text pairs.",
        "- [Posts on which text alone and BGA differ](posts.html), seed 0. All numbers: [trial.json](trial.json).",
        "",
    ]
    if not findings.entities[PAIRS]:
        lines.insert(
            -1,
            "- No name in the posts to score by is known from pictures alone. Pairs that name what your "
            "posts will be about, such as a catalogue, are where pictures help most.",
        )
    return "\n".join(lines)


def write_posts(materials: Materials, output: Path) -> int:
    """Write a page of posts on which text alone and BGA differ, those where BGA is right first, with their pictures.

    materials (Materials): The trial's. output (Path): The HTML file.
    RETURNS (int): How many posts it shows.
    """
    from spacy_bga.viewer import render

    models = {
        arm: load_pipeline(materials.folder / "models" / f"{ARMS[arm]}-0" / "model-best") for arm in (TEXT_ONLY, BGA)
    }
    gold, _ = read_gold(models[BGA], materials.test)
    text_only, bga = (tag_texts(nlp, gold, None)[0] for nlp in models.values())
    changed = []
    for right, first, second in zip(gold, text_only, bga, strict=True):
        if first is not None and second is not None and _entities(first) != _entities(second):
            gained = len(_entities(second) & _entities(right)) - len(_entities(first) & _entities(right))
            changed.append((gained, second, right, first))
    changed.sort(key=lambda item: -item[0])
    some = changed[:MOST_POSTS]
    notices = [_notice(doc, first) for _, doc, _, first in some]
    page = render(
        [doc for _, doc, _, _ in some],
        gold=[right for _, _, right, _ in some],
        images=materials.images,
        title="Text alone and BGA differ",
        notices=notices,
    )
    page.to_disk(output)
    return len(some)


def _seeds(number: int) -> str:
    return "one seed" if number == 1 else f"mean of {number} seeds"


def _notice(doc: Doc, alone: Doc) -> str:
    """RETURNS (str): What text alone finds in a post."""
    found = ", ".join(f"{ent.text} ({ent.label_})" for ent in alone.ents) or "nothing"
    return f"Text alone finds in “{squeeze(doc.text)[:60]}”: {found}"


def _entities(doc: Doc) -> set[tuple[int, int, str]]:
    return {(ent.start, ent.end, ent.label_) for ent in doc.ents}
