"""Tomorrow's names: real tweets and real photographs, and names that no language model has read.

Every entity of the tweets that a catalogue of pictured names shows is renamed, in the catalogue alike: a coined name of
as many words takes its place, in the case of the original. Kinds, contexts and pictures stay real. Tweets are dealt
anew by name: the labels of the training name one half of what was coined, those to choose and to score by the others.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from spacy.training import iob_to_biluo
from spacy.training.iob_utils import tags_to_entities

from spacy_bga.corpus.conll import Post, read_conll
from spacy_bga.starter.coined_names import coin_names

# Of the coined names: named in labelled tweets, in those to choose by, in those to score by.
SHARES = {"train": 0.5, "dev": 0.15, "test": 0.35}
PARTS = ("train", "dev", "test")
COMMON = 15  # mentions, beyond which a name is left to the training: it would be half of the test
Name = tuple[str, str]


def names(tweet: Post) -> Iterator[tuple[int, int, Name]]:
    """YIELDS (tuple[int, int, Name]): First token, end, and name of each entity."""
    for label, first, last in tags_to_entities(iob_to_biluo(tweet.tags)):
        yield first, last + 1, (" ".join(tweet.words[first : last + 1]).lower(), label)


def renamed(tweet: Post, coined: dict[Name, str]) -> Post:
    """RETURNS (Post): A tweet with other names."""
    words = list(tweet.words)
    for start, end, name in names(tweet):
        if name in coined:
            words[start:end] = map(in_case_of, coined[name].split(" "), words[start:end])
    return replace(tweet, words=tuple(words))


def in_case_of(word: str, original: str) -> str:
    """RETURNS (str): A capitalised word in the case of another."""
    if len(original) > 1 and original.isupper():
        return word.upper()
    return word.lower() if original.islower() else word


def generate(
    posts: Path, catalogue: Path, output: Path, *, seed: int = 0, others: int = 1500, rename: bool = True
) -> dict[str, int]:
    """Write the corpus into a folder: `train.txt`, `dev.txt` and `test.txt` in CoNLL's columns, the catalogue
    `pairs.jsonl`, whose images stay where they are, and `names.json`, which says of each coined name its label, how it
    is known, and what it is called today.

    posts (Path): A folder with train.txt, valid.txt and test.txt. catalogue (Path): A JSONL file with "image", "text"
        and "type" of each picture. output (Path): The folder; made if need be. seed (int): Of all that is random.
    others (int): How many pictures of names that no tweet mentions the catalogue keeps. rename (bool): Whether names
        are coined; else all is the same but for them, for comparison.
    RETURNS (dict[str, int]): How many tweets, pictures and names there are.
    """
    rng = random.Random(seed)
    rows = [json.loads(line) for line in catalogue.read_text(encoding="utf8").splitlines()]
    files = {"train": "train.txt", "dev": "valid.txt", "test": "test.txt"}
    tweets = [(part, tweet) for part, name in files.items() for tweet in read_conll(posts / name)]
    pictured = {key(row) for row in rows}
    mentions = Counter(name for _, tweet in tweets for _, _, name in names(tweet) if name in pictured)
    part_of = deal(mentions, rng)
    coined = coin(sorted(mentions), rng)
    output.mkdir(parents=True, exist_ok=True)
    counts = Counter(names=len(coined))
    dealt: dict[str, list[Post]] = {part: [] for part in PARTS}
    for part, tweet in tweets:
        # Its labels may tell nothing of a name that is to be known from pictures alone.
        parts = [part, *(part_of[name] for _, _, name in names(tweet) if name in part_of)]
        dealt[max(parts, key=PARTS.index)].append(renamed(tweet, coined) if rename else tweet)
    for part, found in dealt.items():
        rng.shuffle(found)
        counts[part] = len(found)
    dealt["train"] = covering_first(
        dealt["train"], {(coined[name].lower(), name[1]) for name in coined} if rename else set(coined)
    )
    for part, found in dealt.items():
        write_tweets(output / f"{part}.txt", found)
    shown = [row | ({"text": coined[key(row)]} if rename else {}) for row in rows if key(row) in coined]
    rest = [row for row in rows if key(row) not in coined]
    shown += rng.sample(rest, min(others, len(rest)))
    lines = [json.dumps({"image": row["image"], "text": row["text"]}, ensure_ascii=False) for row in shown]
    (output / "pairs.jsonl").write_text("\n".join(lines) + "\n", encoding="utf8")
    counts["pairs"] = len(shown)
    known = {"train": "labels", "dev": "pairs", "test": "pairs"}
    table = {
        coined[name] if rename else name[0]: {"label": name[1], "known_from": known[part_of[name]], "today": name[0]}
        for name in sorted(coined)
    }
    (output / "names.json").write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf8")
    return dict(counts)


def covering_first(tweets: Sequence[Post], wanted: set[Name]) -> list[Post]:
    """RETURNS (list[Post]): The same, but those that are the first to mention one of these names come first: whoever
    labels few tweets labels each name once."""
    seen: set[Name] = set()
    firsts, others = [], []
    for tweet in tweets:
        mentioned = {name for _, _, name in names(tweet)} & wanted
        (firsts if mentioned - seen else others).append(tweet)
        seen |= mentioned
    return firsts + others


def key(row: dict[str, Any]) -> Name:
    return row["text"].lower(), row["type"]


def coin(names: Sequence[Name], rng: random.Random) -> dict[Name, str]:
    """RETURNS (dict[Name, str]): A coined name for each, of as many words."""
    words = iter(coin_names(sum(len(text.split(" ")) for text, _ in names), rng))
    return {name: " ".join(next(words) for _ in name[0].split(" ")) for name in names}


def deal(mentions: Counter[Name], rng: random.Random) -> dict[Name, str]:
    """RETURNS (dict[Name, str]): The part of each name; each part has all labels alike."""
    part_of = {}
    for label in sorted({label for _, label in mentions}):
        own = sorted(name for name in mentions if name[1] == label)
        rng.shuffle(own)
        own.sort(key=lambda name: mentions[name] <= COMMON)  # common ones first
        start = 0.0
        for part, share in SHARES.items():
            end = start + share * len(own)
            part_of |= dict.fromkeys(own[round(start) : round(end)], part)
            start = end
    return part_of


def write_tweets(path: Path, tweets: Sequence[Post]) -> None:
    blocks = (
        "\n".join([f"IMGID:{t.image_id}", *(f"{word}\t{tag}" for word, tag in zip(t.words, t.tags, strict=True))])
        for t in tweets
    )
    path.write_text("\n\n".join(blocks) + "\n", encoding="utf8")
