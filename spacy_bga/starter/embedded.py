"""The embedded corpus: short posts with entities and drawn pictures, free to use, the same on every run."""

from __future__ import annotations

import io
import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

from ..errors import BGAError, Errors
from .embedded_names import Mention, deal_names
from .embedded_pictures import LABELS, SIZE, Box, draw_picture, other_mentions
from .embedded_posts import Post, PostWriter

POSTS = {"train": 480, "dev": 140, "test": 240}
PAIRS = 300
PAIRS_ABOUT_EACH = 3  # pictured name, which others name besides: about six pairs show it

# Of a hundred posts, about so many have a picture that shows something else, or none; so it is on the net.
UNRELATED, MISSING = 0.09, 0.08
# A picture that explains an ambiguous post is rarely missing: such posts are what the pictures are there for.
UNRELATED_IF_AMBIGUOUS = 0.04
# The training post whose picture is cut off in the middle of the file.
BROKEN = "train_0100"

OURS = re.compile(r"(train|dev|test|pair)_\d{4}\.png")


def generate(output: Path, *, seed: int = 0) -> dict[str, Any]:
    """Write the embedded corpus into a folder.

    Texts are CoNLL as the Twitter benchmarks write it (`train.txt`, `dev.txt`, `test.txt`: an `IMGID:` line, then
    `token<TAB>tag` lines, a blank line after each post), pictures are `images/<IMGID>.png`. `boxes.jsonl` says where
    which entity is drawn, and `pairs.jsonl` has pictures with texts that nobody labelled.

    output (Path): The folder. Pictures of an earlier run are replaced.
    seed (int): The seed of the one generator that everything is drawn from.
    RETURNS (dict[str, Any]): Statistics, by part.
    """
    images = _prepare(output)
    rng = random.Random(seed)
    banks = deal_names(rng)
    written = {
        part: _distinct(PostWriter(part, banks[part], rng), count) for part, count in {**POSTS, "pairs": PAIRS}.items()
    }
    statistics: dict[str, Any] = {"seed": seed}
    boxes: list[dict[str, Any]] = []
    for part in POSTS:
        posts = {f"{part}_{number:04}": post for number, post in enumerate(written[part], start=1)}
        drawn = [box for name, post in posts.items() if (box := _draw_post(images, name, post, rng))]
        _write(output / f"{part}.txt", "".join(_conll(name, post) for name, post in posts.items()))
        statistics[part] = _count(written[part], drawn)
        boxes += drawn
    pairs = []
    writer = PostWriter("pairs", banks["pairs"], rng)
    written["pairs"] += [writer.write_about(m) for m in banks["pairs"].pictured for _ in range(PAIRS_ABOUT_EACH)]
    rng.shuffle(written["pairs"])
    for number, post in enumerate(written["pairs"], start=1):
        _draw(images, f"pair_{number:04}", _shown(post, rng, UNRELATED), rng)
        pairs.append({"image": f"images/pair_{number:04}.png", "text": _text(post)})
    _write_jsonl(output / "pairs.jsonl", pairs)
    _write_jsonl(output / "boxes.jsonl", boxes)
    statistics["pairs"] = {"pairs": len(pairs)}
    return statistics


def _prepare(output: Path) -> Path:
    if output.exists() and not output.is_dir():
        raise BGAError(Errors.B450.format(path=output))
    images = output / "images"
    images.mkdir(parents=True, exist_ok=True)
    for path in images.iterdir():
        if OURS.fullmatch(path.name):
            path.unlink()
    return images


def _distinct(writer: PostWriter, count: int) -> list[Post]:
    """Posts of which no two read the same."""
    posts: dict[str, Post] = {}
    while len(posts) < count:
        post = writer.write()
        posts.setdefault(_text(post).lower(), post)
    return list(posts.values())


def _text(post: Post) -> str:
    """The text as people type it: signs close to their words."""
    text = " ".join(post.tokens).replace("# ", "#").replace("@ ", "@").replace(" ' ", "'")
    return re.sub(r" (?=[,:!?.])", "", text)


def _conll(name: str, post: Post) -> str:
    rows = "".join(f"{token}\t{tag}\n" for token, tag in zip(post.tokens, post.tags, strict=True))
    return f"IMGID:{name}\n{rows}\n"


def _shown(post: Post, rng: random.Random, unrelated: float) -> list[Mention]:
    """What the picture of a post shows."""
    if rng.random() < unrelated or (not post.mentions and rng.random() < 0.5):
        return other_mentions(post.mentions, rng)
    return list(dict.fromkeys(post.mentions))


def _draw_post(images: Path, name: str, post: Post, rng: random.Random) -> dict[str, Any] | None:
    """Draw the picture of a post, unless it is one without; and say where a reader of the file finds its entities."""
    if not post.ambiguous and name != BROKEN and rng.random() < MISSING:
        return None
    shown = _shown(post, rng, UNRELATED_IF_AMBIGUOUS if post.ambiguous else UNRELATED)
    found = _draw(images, name, shown, rng)
    if name == BROKEN:
        return None
    objects = [
        {"entity": mention.text, "label": mention.label, "box": list(box)} for mention, box in found if mention.text
    ]
    return {"image": f"images/{name}.png", "width": SIZE, "height": SIZE, "objects": objects}


def _draw(images: Path, name: str, shown: list[Mention], rng: random.Random) -> list[tuple[Mention, Box]]:
    image, found = draw_picture(shown, rng)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    data = buffer.getvalue()
    (images / f"{name}.png").write_bytes(data[: len(data) // 2] if name == BROKEN else data)
    return found


def _count(posts: list[Post], boxes: list[dict[str, Any]]) -> dict[str, Any]:
    labels = Counter(mention.label for post in posts for mention in post.mentions)
    return {
        "posts": len(posts),
        "tokens": sum(len(post.tokens) for post in posts),
        "entities": sum(labels.values()),
        **{label: labels[label] for label in LABELS},
        "ambiguous posts": sum(post.ambiguous for post in posts),
        "readable pictures": len(boxes),
        "boxes": sum(len(box["objects"]) for box in boxes),
    }


def _write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    _write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf8", newline="\n")
