"""Tomorrow's names: what the corpus promises is so, whatever the seed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.tomorrow import COMMON, PARTS, generate, names
from spacy_bga.corpus.conll import read_conll

NAMES = [("Ann Lee", "PER"), ("FC Ham", "ORG"), ("Rome", "LOC"), ("Bo", "PER"), ("Oslo", "LOC"), ("Cy Dee", "PER")]
FILES = {"train": "train.txt", "dev": "valid.txt", "test": "test.txt"}


def tweet(number: int, name: str, label: str) -> str:
    words = name.upper().split() if number % 3 == 0 else name.split()
    rows = [f"{word}\t{'I' if i else 'B'}-{label}" for i, word in enumerate(words)]
    return "\n".join([f"IMGID:{number}", "See\tO", *rows, "with\tO", "Eve\tB-PER"])


@pytest.fixture(params=[0, 3])
def corpus(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    posts = [tweet(i, *NAMES[i % len(NAMES)]) for i in range(90)] + [
        tweet(90 + i, "Max Common", "PER") for i in range(COMMON + 1)
    ]
    posts.append(tweet(200, "Rome", "PER"))  # of another kind than the picture shows
    for part, name in FILES.items():
        (tmp_path / name).write_text("\n\n".join(posts[PARTS.index(part) :: 3]) + "\n", encoding="utf8")
    rows = [{"image": f"{name}.jpg", "text": name, "type": label} for name, label in [*NAMES, ("Max Common", "PER")]]
    rows += [{"image": f"{i}.jpg", "text": f"Other {i}", "type": "ORG"} for i in range(9)]
    (tmp_path / "names.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf8")
    generate(tmp_path, tmp_path / "names.jsonl", tmp_path / "out", seed=request.param, others=4)
    return tmp_path


def tweets(folder: Path, files: dict[str, str]) -> dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]]:
    return {t.image_id: (part, t.words, t.tags) for part, name in files.items() for t in read_conll(folder / name)}


def test_labels_of_training_name_none_of_what_pictures_alone_tell(corpus: Path):
    table = {name.lower(): fact for name, fact in json.loads((corpus / "out/names.json").read_text("utf8")).items()}
    assert {fact["known_from"] for fact in table.values()} == {"labels", "pairs"}
    named = {p: {n for t in read_conll(corpus / f"out/{p}.txt") for _, _, (n, _) in names(t)} for p in PARTS}
    assert {table[name]["known_from"] for name in named["train"] & table.keys()} == {"labels"}
    assert any(table[name]["known_from"] == "pairs" for name in named["test"] & table.keys())
    assert next(f for f in table.values() if f["today"] == "max common")["known_from"] == "labels"


def test_every_pictured_name_is_renamed_and_nothing_else(corpus: Path):
    before, after = tweets(corpus, FILES), tweets(corpus / "out", {part: f"{part}.txt" for part in PARTS})
    assert before.keys() == after.keys()
    table = json.loads((corpus / "out/names.json").read_text("utf8"))
    coined = {(fact["today"], fact["label"]): name.lower() for name, fact in table.items()}
    assert len(coined) == len(NAMES) + 1
    for image, (_, tokens, tags) in before.items():
        _, new_tokens, new_tags = after[image]
        assert new_tags == tags
        assert [t.isupper() for t in new_tokens] == [t.isupper() for t in tokens]
        name, label = " ".join(tokens[1:-2]).lower(), tags[1][2:]
        assert " ".join(new_tokens[1:-2]).lower() == coined.get((name, label), name)
        assert (new_tokens[0], new_tokens[-2:]) == (tokens[0], tokens[-2:])
    assert after["200"][1] == ("See", "Rome", "with", "Eve")


def test_the_catalogue_shows_the_new_names_with_their_own_pictures(corpus: Path):
    table = json.loads((corpus / "out/names.json").read_text("utf8"))
    rows = [json.loads(line) for line in (corpus / "out/pairs.jsonl").read_text("utf8").splitlines()]
    shown = {row["text"]: row["image"] for row in rows}
    assert len(shown) == len(rows) == len(table) + 4
    for name, fact in table.items():
        assert shown[name].lower() == f"{fact['today']}.jpg"


def test_the_first_tweets_of_the_training_name_each_of_its_names(corpus: Path):
    table = {name.lower() for name in json.loads((corpus / "out/names.json").read_text("utf8"))}
    named = [{text for _, _, (text, _) in names(t)} & table for t in read_conll(corpus / "out/train.txt")]
    labelled = set().union(*named)
    assert len(named) > len(labelled) > 0
    assert set().union(*named[: len(labelled)]) == labelled
