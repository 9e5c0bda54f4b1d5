"""Coined names: a corpus in which pictures are the only source that tells what a name is.

Random pronounceable names stand for one thing each, a person, a city, a team or a film, and their form says nothing.
Texts leave the kind of every name open. Unlabelled pairs show names with a drawn picture of their kinds; labelled
posts, which have no pictures, name some of them. So a tagger can know what the other names are from the pairs alone.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy_bga.starter.coined_names import coin_names
from spacy_bga.starter.embedded_names import DATA, Mention
from spacy_bga.starter.embedded_names import PICTURED_KINDS as KINDS
from spacy_bga.starter.embedded_pictures import draw_picture

# Of all names: named in labelled posts, in those to choose by, in those to score by, and nowhere but in these last.
SHARES = {"train": 0.5, "dev": 0.12, "test": 0.28, "unseen": 0.1}


@dataclass(frozen=True)
class CoinedPost:
    """A text and its mentions.

    text (str): The text. mentions (tuple[Mention, ...]): Its names, in order; each occurs in the text once.
    """

    text: str
    mentions: tuple[Mention, ...]

    @property
    def spans(self) -> list[dict[str, Any]]:
        """Character offsets and labels, as JSONL has them."""
        starts = [self.text.index(mention.text) for mention in self.mentions]
        return [
            {"start": start, "end": start + len(mention.text), "label": mention.label}
            for start, mention in zip(starts, self.mentions, strict=True)
        ]


class CoinedWriter:
    """Writes texts that leave the kinds of their names open.

    most (int): The most names of a text; texts of several names have two or more. rng (random.Random): The source of
        chance.
    """

    def __init__(self, most: int, rng: random.Random):
        templates = json.loads((DATA / "open_templates.json").read_text(encoding="utf8"))
        numbers = range(min(most, 2), most + 1)
        self.templates = {number: templates[str(number)] for number in numbers}
        self.rng = rng

    def write(self, mention: Mention, others: Sequence[Mention]) -> CoinedPost:
        """Write a text about a mention, beside others of other kinds.

        mention (Mention): The one that it is about. others (Sequence[Mention]): What may be named beside it.
        RETURNS (CoinedPost): The post.
        """
        number = self.rng.choice(list(self.templates))
        chosen = [mention]
        while len(chosen) < number:
            other = self.rng.choice(others)
            if other.kind not in {one.kind for one in chosen}:
                chosen.append(other)
        self.rng.shuffle(chosen)
        text = self.rng.choice(self.templates[number])
        for slot, one in zip("XYZ", chosen, strict=False):
            text = text.replace("{" + slot + "}", one.text)
        return CoinedPost(text, tuple(chosen))


def generate(
    output: Path, *, seed: int = 0, names: int = 360, per_name: int = 6, most: int = 1, size: int | None = None
) -> dict[str, int]:
    """Write the corpus into a folder: `train.jsonl`, `dev.jsonl`, `test.jsonl` with spans and no pictures, the pairs
    `pairs.jsonl` and `pairs_dev.jsonl` with `images/`, and `names.json`, which says of each name its label, and how it
    is known.

    output (Path): The folder; made if it isn't there. seed (int): Of all that is random.
    names (int): How many names are coined. per_name (int): How many pairs show each of them, but those never seen.
    most (int): The most names of a text, 1 to 3. With more than one, every text has at least two, of different kinds,
        and the picture shows them all.
    RETURNS (dict[str, int]): How many posts each part has.
    """
    rng = random.Random(seed)
    kinds = [list(KINDS)[i % len(KINDS)] for i in range(names)]
    rng.shuffle(kinds)
    mentions = [Mention(name, KINDS[kind], kind) for name, kind in zip(coin_names(names, rng), kinds, strict=True)]
    dealt = _deal(mentions, rng)
    writer = CoinedWriter(most, rng)
    (output / "images").mkdir(parents=True, exist_ok=True)
    counts = {}
    shown = [mention for part in ("train", "dev", "test") for mention in dealt[part]]
    about_each = round(per_name * len(writer.templates) / sum(writer.templates))  # beside others it is shown as well
    for part, repeats in (("pairs", about_each), ("pairs_dev", 1)):
        posts = _posts(writer, shown if part == "pairs" else shown[::3], shown, repeats)
        rows = []
        for number, post in enumerate(posts):
            path = f"images/{part}_{number:05}.png"
            draw_picture(post.mentions, rng)[0].save(output / path, optimize=True)
            rows.append({"image": path, "text": post.text})
        counts[part] = _write(output / f"{part}.jsonl", rows)
    known = {
        "train": dealt["train"],
        "dev": dealt["dev"],
        "test": dealt["test"] + dealt["unseen"] + dealt["train"][::3],
    }
    for part, about in known.items():
        beside = dealt["unseen"] if part == "test" else ()
        posts = [
            post for m in about for post in _posts(writer, [m], dealt["unseen"] if m in beside else dealt[part], 2)
        ]
        counts[part] = _write(output / f"{part}.jsonl", [{"text": post.text, "spans": post.spans} for post in posts])
    slices = {"train": "labels", "dev": "pairs", "test": "pairs", "unseen": "never"}
    table = {m.text: {"label": m.label, "known_from": slices[part]} for part, found in dealt.items() for m in found}
    (output / "names.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf8")
    return counts


def _deal(mentions: list[Mention], rng: random.Random) -> dict[str, list[Mention]]:
    """RETURNS (dict[str, list[Mention]]): The mentions of each part; each part has all kinds alike."""
    dealt: dict[str, list[Mention]] = {part: [] for part in SHARES}
    for kind in KINDS:
        own = [mention for mention in mentions if mention.kind == kind]
        start = 0.0
        for part, share in SHARES.items():
            end = start + share * len(own)
            dealt[part] += own[round(start) : round(end)]
            start = end
    for found in dealt.values():
        rng.shuffle(found)
    return dealt


def _posts(writer: CoinedWriter, about: Sequence[Mention], others: Sequence[Mention], repeats: int) -> list[CoinedPost]:
    posts = [writer.write(mention, others) for mention in about for _ in range(repeats)]
    writer.rng.shuffle(posts)
    return posts


def _write(path: Path, rows: list[dict[str, Any]]) -> int:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    return len(rows)
