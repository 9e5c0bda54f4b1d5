"""The benchmark's corpus: what it promises is so, whatever the seed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.coined import CoinedWriter, generate


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]


@pytest.fixture(scope="module", params=[(1, 0), (3, 5)], ids=["one name", "several names"])
def corpus(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    most, seed = request.param
    folder = tmp_path_factory.mktemp("coined")
    generate(folder, seed=seed, names=40, per_name=4, most=most)
    return folder, most


def test_names_are_known_from_what_they_are_said_to_be(corpus: tuple[Path, int]):
    folder, _ = corpus
    names = json.loads((folder / "names.json").read_text(encoding="utf8"))
    assert {fact["label"] for fact in names.values()} == {"PER", "LOC", "ORG", "MISC"}
    labelled = {row["text"][s["start"] : s["end"]] for row in read(folder / "train.jsonl") for s in row["spans"]}
    shown = " ".join(row["text"] for row in read(folder / "pairs.jsonl"))
    for name, fact in names.items():
        assert (name in labelled) is (fact["known_from"] == "labels")
        assert (name in shown) is (fact["known_from"] != "never")


def test_spans_are_names_with_their_labels_of_different_kinds(corpus: tuple[Path, int]):
    folder, most = corpus
    names = json.loads((folder / "names.json").read_text(encoding="utf8"))
    for part in ("train", "dev", "test"):
        for row in read(folder / f"{part}.jsonl"):
            found = [(row["text"][s["start"] : s["end"]], s["label"]) for s in row["spans"]]
            assert all(names[name]["label"] == label for name, label in found)
            assert len({label for _, label in found}) == len(found)
            assert len(found) in ((1,) if most == 1 else (2, 3))


def test_pairs_have_pictures_and_no_labels(corpus: tuple[Path, int]):
    folder, _ = corpus
    for part in ("pairs", "pairs_dev"):
        rows = read(folder / f"{part}.jsonl")
        assert rows
        assert all(set(row) == {"image", "text"} and (folder / row["image"]).is_file() for row in rows)


def test_the_same_seed_gives_the_same_corpus(tmp_path: Path):
    for folder in ("a", "b", "c"):
        generate(tmp_path / folder, seed=int(folder == "c"), names=20, per_name=1)
    texts = [(tmp_path / folder / "test.jsonl").read_text(encoding="utf8") for folder in ("a", "b", "c")]
    assert texts[0] == texts[1] != texts[2]


def test_a_text_names_what_it_is_about():
    import random

    from spacy_bga.starter.embedded_names import Mention

    mentions = [Mention(f"Name{kind}", "X", kind) for kind in ("person", "city", "team")]
    for _ in range(20):
        post = CoinedWriter(3, random.Random(0)).write(mentions[0], mentions[1:])
        assert mentions[0] in post.mentions
        assert all(post.text.count(mention.text) == 1 for mention in post.mentions)
